"""An address that somebody else uses is moved only to whoever proves to hold it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core import signing
from django.db import connections
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from django_pushjobs import devices
from django_pushjobs.api.challenges import EVERY
from django_pushjobs.backends import locmem
from django_pushjobs.delivery.attempts import deliver
from django_pushjobs.devices.proofs import CHALLENGE, LIFETIME
from django_pushjobs.exceptions import InvalidDevice, ProofRequired
from django_pushjobs.models import Device, PushRequest
from django_pushjobs.states import WAITING
from django_pushjobs.testing import captured_pushes

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/api/me/devices"
ADDRESS = "address-of-the-phone"


@pytest.fixture(autouse=True)
def _registry(settings: Settings) -> None:
    settings.PUSHJOBS = settings.PUSHJOBS | {"DEVICE_BACKENDS": {"web": "locmem", "ios": "locmem"}}


@pytest.fixture
def anna() -> User:
    return User.objects.create_user("anna")


@pytest.fixture
def bert() -> User:
    return User.objects.create_user("bert")


@pytest.fixture
def outbox() -> Iterator[list[locmem.Pushed]]:
    with captured_pushes() as pushes:
        yield pushes


@pytest.fixture
def device(anna: User) -> Device:
    return devices.register(anna, platform="web", address=ADDRESS, tags=["private"])[0]


def post(user: User, **fields: Any) -> Any:
    client = Client()
    client.force_login(user)
    body = {"platform": "web", "address": ADDRESS, **fields}
    return client.post(URL, body, content_type="application/json")


def pushed(outbox: list[locmem.Pushed]) -> list[Any]:
    """Let the workers push, and return the codes that reached the phone."""
    for row in PushRequest.objects.filter(status__in=WAITING).order_by("pk"):
        deliver(row.pk)
    assert {push.target.address for push in outbox} <= {ADDRESS}
    return [push.message.data[CHALLENGE] for push in outbox]


def owner() -> User | None:
    return Device.objects.get().user


def test_whoever_knows_an_address_does_not_get_it(device: Device, bert: User) -> None:
    before = Device.objects.values().get()
    response = post(bert, platform="ios", locale="de", tags=["his"])
    assert response.status_code == 202
    assert response.json()["state"] == "unproven"
    assert set(response.json()) == {"state", "expires_at"}
    assert Device.objects.values().get() == before
    assert device.tags == ["private"]
    assert not bert.push_devices.exists()  # type: ignore[attr-defined]


def test_whoever_holds_it_gets_it(
    device: Device, anna: User, bert: User, outbox: list[locmem.Pushed]
) -> None:
    assert post(bert).status_code == 202
    [code] = pushed(outbox)
    message = outbox[0].message
    assert (message.title, message.body, set(message.data)) == ("", "", {CHALLENGE})
    assert owner() == anna
    response = post(bert, proof=code, tags=["his"])
    assert (response.status_code, response.json()["tags"]) == (200, ["his"])
    assert (owner(), response.json()["id"]) == (bert, device.pk)
    # It is his now, and no longer hers.
    assert post(bert).status_code == 200
    assert post(anna).status_code == 202


@pytest.mark.usefixtures("device")
def test_a_code_is_good_for_one_user_one_device_and_one_owner(
    anna: User, bert: User, outbox: list[locmem.Pushed]
) -> None:
    mallory = User.objects.create_user("mallory")
    post(bert)
    post(mallory)
    codes = pushed(outbox)
    for thief, code in ((mallory, codes[0]), (bert, codes[1])):
        assert refused(thief, code)
    other, _ = devices.register(anna, platform="web", address="other")
    assert refused(bert, codes[0], address="other")
    other.delete()
    assert post(bert, proof=codes[0]).status_code == 200
    # Hers was meant for the owner before.
    assert refused(mallory, codes[1])
    assert owner() == bert


@pytest.mark.parametrize("proof", ["x", "é", "a:b:c", "x" * 512])
@pytest.mark.usefixtures("device")
def test_a_code_that_is_made_up(bert: User, proof: str) -> None:
    assert refused(bert, proof)


def test_a_code_that_the_site_signed_for_something_else(device: Device, bert: User) -> None:
    assert refused(bert, signing.dumps([device.pk, str(device.user_id), str(bert.pk)]))


@pytest.mark.usefixtures("device")
def test_a_code_that_is_old(
    bert: User, outbox: list[locmem.Pushed], monkeypatch: pytest.MonkeyPatch
) -> None:
    post(bert)
    [code] = pushed(outbox)
    now = signing.time.time()  # type: ignore[attr-defined]
    monkeypatch.setattr(signing.time, "time", lambda: now + LIFETIME + 2)  # type: ignore[attr-defined]
    assert refused(bert, code)


def refused(user: User, proof: str, **fields: Any) -> bool:
    response = post(user, proof=proof, **fields)
    assert response.status_code == 400
    [error] = response.json()["errors"]
    return (error["pointer"], error["code"]) == ("/proof", "invalid_proof")


@pytest.mark.parametrize("proof", [1, None, ["x"], "x" * 513])
def test_what_cannot_be_a_code(bert: User, proof: Any) -> None:
    [error] = post(bert, proof=proof).json()["errors"]
    assert (error["pointer"], error["code"]) == ("/proof", "invalid_type")


@pytest.mark.usefixtures("device")
def test_a_phone_is_not_flooded(
    bert: User, outbox: list[locmem.Pushed], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = post(bert).json()
    assert post(bert).json() == first
    assert len(pushed(outbox)) == 1
    PushRequest.objects.update(created_at=timezone.now() - timedelta(seconds=EVERY + 1))
    assert post(bert).status_code == 202
    assert len(pushed(outbox)) == 2


@pytest.mark.parametrize("change", [{}, {"state": "dropped"}, {"user": None}])
def test_what_needs_no_proof(
    device: Device, anna: User, bert: User, change: dict[str, Any]
) -> None:
    Device.objects.update(**change)
    user = bert if change else anna
    assert post(user).status_code == 200
    assert post(user, address="new").status_code == 201
    assert set(Device.objects.values_list("user", flat=True)) == {user.pk}
    assert not PushRequest.objects.exists()


def test_code_of_the_project_vouches_unless_it_says_otherwise(
    device: Device, anna: User, bert: User
) -> None:
    devices.register(bert, platform="web", address=ADDRESS)
    assert owner() == bert
    with pytest.raises(ProofRequired) as required:
        devices.register(anna, platform="web", address=ADDRESS, trusted=False)
    assert owner() == bert
    assert ADDRESS not in str(required.value)
    code = required.value.code
    devices.register(anna, platform="web", address=ADDRESS, trusted=False, proof=code)
    assert owner() == anna


@pytest.mark.parametrize("resolvers", [{}, None])
def test_an_address_that_nothing_can_be_pushed_to(
    anna: User, bert: User, settings: Settings, resolvers: Any
) -> None:
    address = ADDRESS if resolvers is not None else "x" * 3_000
    devices.register(anna, platform="web", address=address)
    if resolvers is not None:
        settings.PUSHJOBS = settings.PUSHJOBS | {"RESOLVERS": resolvers}
    response = post(bert, address=address)
    assert response.status_code == 400
    [error] = response.json()["errors"]
    assert (error["pointer"], error["code"]) == ("/address", "unprovable")
    assert owner() == anna


@pytest.mark.usefixtures("device")
def test_operators_do_not_read_a_code(
    bert: User, outbox: list[locmem.Pushed], client: Client
) -> None:
    post(bert)
    [code] = pushed(outbox)
    row = PushRequest.objects.get()
    operator = User.objects.create_user("operator", is_staff=True)
    operator.user_permissions.set(
        Permission.objects.filter(content_type__app_label="django_pushjobs")
    )
    client.force_login(operator)
    page = client.get(f"/admin/django_pushjobs/pushrequest/{row.pk}/change/").content.decode()
    assert CHALLENGE in page
    assert code not in page


def test_one_of_many_who_register_at_once_has_it() -> None:
    users = [User.objects.create_user(f"user-{number}") for number in range(8)]
    start = threading.Barrier(len(users))

    def call(user: User) -> str:
        start.wait()
        try:
            for _ in range(5):
                devices.register(
                    user, platform="web", address=ADDRESS, tags=[user.username], trusted=False
                )
            return user.username
        except ProofRequired:
            return ""
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(users)) as pool:
        winners = [name for name in pool.map(call, users) if name]
    device = Device.objects.get()
    assert [device.user and device.user.username] == winners == device.tags


def test_two_who_prove_at_once_leave_one_owner(device: Device) -> None:
    users = [User.objects.create_user(f"user-{number}") for number in range(4)]
    codes = {}
    for user in users:
        with pytest.raises(ProofRequired) as required:
            devices.register(user, platform="web", address=ADDRESS, trusted=False)
        codes[user.pk] = required.value.code
    start = threading.Barrier(len(users))

    def call(user: User) -> bool:
        start.wait()
        try:
            devices.register(
                user,
                platform="web",
                address=ADDRESS,
                tags=[user.username],
                trusted=False,
                proof=codes[user.pk],
            )
            return True
        except InvalidDevice:
            return False
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(users)) as pool:
        moved = list(pool.map(call, users))
    device = Device.objects.get()
    assert sum(moved) == 1
    assert device.user == users[moved.index(True)]
    assert device.tags == [users[moved.index(True)].username]


def test_a_code_fits_into_any_message(device: Device, bert: User) -> None:
    with pytest.raises(ProofRequired) as required:
        devices.register(bert, platform="web", address=ADDRESS, trusted=False)
    assert len(json.dumps({CHALLENGE: required.value.code})) < 200
