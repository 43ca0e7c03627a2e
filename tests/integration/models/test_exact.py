"""Names that others choose are one only if they are equal, on every database."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model

from django_pushjobs import recipients
from django_pushjobs.devices.registry import register
from django_pushjobs.models import ApiClient, Device, PushRequest
from tests.support.samples import a_push_request
from tests.support.third_party import ThirdParty

pytestmark = pytest.mark.django_db(transaction=True)

ALIKE = [("chat:aB", "chat:Ab"), ("café", "cafe"), ("🍣", "🍺"), ("a", "a "), ("ß", "ss")]


@pytest.fixture(autouse=True)
def _devices(settings):
    settings.PUSHJOBS = settings.PUSHJOBS | {
        "DEVICE_BACKENDS": {"other": "locmem"},
        "RESOLVERS": settings.PUSHJOBS["RESOLVERS"]
        | {"tag": {"RESOLVER": "django_pushjobs.devices.resolvers.TagResolver"}},
    }


@pytest.mark.parametrize(("one", "other"), [ALIKE[0], ALIKE[1], ALIKE[4]])
def test_a_tag_reaches_its_own_devices(one: str, other: str) -> None:
    user = get_user_model().objects.create_user("ann")
    for name, address in ((one, "mine"), (other, "theirs")):
        register(user=user, platform="other", address=address, tags=[name])
    for name, address in ((one, "mine"), (other, "theirs")):
        found = recipients.resolve([{"tag": name}], backend="locmem", canonical=str)
        assert list(map(str, found)) == [address]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_rows_are_found_by_what_they_say(one: str, other: str) -> None:
    rows = [a_push_request(reference=name, collapse_key=name) for name in (one, other)]
    for row in rows:
        assert PushRequest.objects.get(reference=row.reference) == row
        assert PushRequest.objects.get(collapse_key=row.collapse_key) == row
    for name in (one, other):
        ApiClient.objects.create(name=name)


def test_a_reference_over_the_api() -> None:
    acme = ThirdParty()
    for name in ("🍣", "🍺"):
        assert acme.post(body={"recipients": ["x"], "reference": name}).status_code == 202
    [found] = acme.get("", {"reference": "🍣"}).json()["results"]
    assert found["reference"] == "🍣"


def test_data_is_as_deep_as_every_database_takes_it() -> None:
    acme = ThirdParty()
    deep: object = "end"
    for _ in range(31):
        deep = {"a": deep}
    assert acme.post(body={"recipients": ["x"], "data": deep}).status_code == 202
    assert acme.post(body={"recipients": ["x"], "data": {"a": deep}}).status_code == 400


def test_two_spellings_of_one_address_remain_one_device() -> None:
    user = get_user_model().objects.create_user("ann")
    for app in ("shop", "Shop"):
        register(user=user, platform="other", app=app, address="token")
    assert Device.objects.get().app == "Shop"
