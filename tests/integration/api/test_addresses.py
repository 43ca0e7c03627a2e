"""Nobody reads an address that they did not name: receipts, callbacks and events keep them."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from django_pushjobs import devices
from django_pushjobs.api import addresses
from django_pushjobs.backends import vapid
from django_pushjobs.callbacks import endpoints
from django_pushjobs.delivery.attempts import deliver
from django_pushjobs.events import streams
from django_pushjobs.lifecycle.publisher import publisher
from django_pushjobs.models import CallbackEvent, Delivery, PushRequest
from django_pushjobs.models.identifiers import delivery_id
from django_pushjobs.states import DeliveryStatus, Status
from tests.support.third_party import ThirdParty

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "address-of-anna"
ENDPOINT = "https://push.example/send/of-anna"


def subscription(endpoint: str = ENDPOINT, key: str = "key-of-anna", **more: Any) -> str:
    return json.dumps({"endpoint": endpoint, "keys": {"p256dh": key, "auth": "auth"}, **more})


@pytest.fixture(autouse=True)
def _backends(settings: Settings) -> None:
    web = {"private_key": vapid.private_text(vapid.new_key()), "subject": "mailto:a@example.org"}
    settings.PUSHJOBS = settings.PUSHJOBS | {
        "BACKENDS": settings.PUSHJOBS["BACKENDS"]
        | {"web": {"BACKEND": "django_pushjobs.backends.webpush.WebPushBackend", "OPTIONS": web}},
        "DEVICE_BACKENDS": {"web": "locmem"},
        "RESOLVERS": {
            "address": {"RESOLVER": "django_pushjobs.recipients.AddressResolver"},
            "user": {"RESOLVER": "django_pushjobs.devices.resolvers.UserResolver"},
            "tag": {"RESOLVER": "django_pushjobs.devices.resolvers.TagResolver"},
        },
        "INSECURE_DESTINATIONS": True,
    }


@pytest.fixture
def anna() -> User:
    user = User.objects.create_user("anna")
    devices.register(user, platform="web", address=SECRET, tags=["news"])
    return user


@pytest.fixture
def acme() -> ThirdParty:
    return ThirdParty()


def pushed(acme: ThirdParty, *recipients: Any) -> str:
    """Submit to ``recipients`` and push; return the key."""
    body = {"recipients": recipients, "title": "Hello", "backend": "locmem"}
    response = acme.post(body=body)
    assert response.status_code == 202, response.content
    key: str = response.json()["id"]
    PushRequest.objects.filter(pk=key).update(status=Status.QUEUED)
    assert deliver(PushRequest.objects.get(pk=key).pk) is Status.SUCCEEDED
    return key


def shown(acme: ThirdParty, key: str) -> list[str | None]:
    """Return the addresses in the receipts; both ways to read them say the same."""
    page = acme.get(f"{key}/deliveries").json()["results"]
    [item] = acme.post("receipts", {"ids": [key]}).json()["items"]
    assert item["deliveries"] == page
    return [receipt["address"] for receipt in page]


def ended(acme: ThirdParty, recipients: list[Any], *stored: str) -> str:
    """Store a request to ``recipients`` that was pushed to the addresses ``stored``."""
    now = timezone.now()
    row = PushRequest.objects.create(
        client=acme.client,
        recipients=recipients,
        status=Status.SUCCEEDED,
        finished_at=now,
        backend="web",
        total=len(stored),
    )
    Delivery.objects.bulk_create(
        Delivery(
            id=delivery_id(row.pk, address),
            request=row,
            address=address,
            status=DeliveryStatus.ACCEPTED,
            started_at=now,
            finished_at=now,
        )
        for address in stored
    )
    return str(row.pk)


@pytest.mark.parametrize("kind", ["user", "tag"])
def test_the_devices_of_a_user_stay_the_users(acme: ThirdParty, anna: User, kind: str) -> None:
    key = pushed(acme, {"user": anna.pk} if kind == "user" else {"tag": "news"})
    assert Delivery.objects.get().address == SECRET
    assert shown(acme, key) == [None]
    for response in (acme.get(key), acme.get(f"{key}/deliveries"), acme.get()):
        assert SECRET not in response.content.decode()


def test_what_the_caller_named_itself_is_shown(acme: ThirdParty, anna: User) -> None:
    key = pushed(acme, "mine", {"address": "mine-too"}, {"user": anna.pk})
    assert set(shown(acme, key)) == {"mine", "mine-too", None}


def test_it_counts_only_if_it_was_named_in_that_very_request(acme: ThirdParty, anna: User) -> None:
    assert shown(acme, pushed(acme, SECRET)) == [SECRET]
    assert shown(acme, pushed(acme, {"user": anna.pk})) == [None]


@pytest.mark.parametrize("recipient", [{"user": SECRET}, {"tag": SECRET}])
def test_the_name_of_something_else_is_not_an_address(acme: ThirdParty, recipient: Any) -> None:
    assert shown(acme, ended(acme, [recipient], SECRET)) == [None]


def test_whoever_knows_the_endpoint_does_not_get_the_keys(acme: ThirdParty) -> None:
    """Both spellings are one delivery; what is stored may be that of the device."""
    mine = subscription("https://PUSH.example:443/send/of-anna", key="made-up")
    key = ended(acme, [{"user": 17}, mine], subscription())
    assert shown(acme, key) == [mine]
    assert "key-of-anna" not in acme.get(f"{key}/deliveries").content.decode()


def test_several_spellings_of_one_address(acme: ThirdParty) -> None:
    mine = [subscription(key="1"), subscription(key="2")]
    assert shown(acme, ended(acme, mine, mine[1])) == [mine[1]]


def test_an_address_of_a_backend_that_is_gone(acme: ThirdParty) -> None:
    key = ended(acme, ["mine", {"user": 1}], "mine", SECRET)
    PushRequest.objects.update(backend="gone")
    assert set(shown(acme, key)) == {"mine", None}


def test_callbacks_and_events_hold_no_address(acme: ThirdParty, anna: User) -> None:
    endpoints.register(acme.client, "http://127.0.0.1:9/hook")
    streams.open_stream(acme.client.pk)
    key = pushed(acme, {"user": anna.pk}, "mine")
    assert publisher().flush(30)
    [event] = CallbackEvent.objects.all()
    told = json.dumps(event.data) + event.url
    events = list(streams.between(acme.client.pk, "0", "+"))
    assert events[-1].is_final
    told += "".join(event.data for event in events)
    assert key in told
    assert SECRET not in told
    assert "mine" not in told


def test_plain_addresses_cost_no_look_at_their_spelling(
    acme: ThirdParty,
    django_assert_num_queries: DjangoAssertNumQueries,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    many = [subscription(f"{ENDPOINT}/{n}") for n in range(1_000)]
    key = ended(acme, many, *many)

    def unexpected(alias: str) -> None:
        raise AssertionError("the spelling was looked at")

    monkeypatch.setattr(addresses, "canonical_of", unexpected)
    with django_assert_num_queries(3):  # the key, the request, the page
        page = acme.get(f"{key}/deliveries", query={"page_size": 1_000}).json()["results"]
    assert {receipt["address"] for receipt in page} == set(many)


def test_a_receipt_does_not_confirm_a_guess(acme: ThirdParty, anna: User) -> None:
    """The key of a delivery is made from the address, and there are few phone numbers: the
    attacker makes the keys of all of them."""
    numbers = [f"+43664{n:07}" for n in range(20)]
    for number in numbers:
        devices.register(anna, platform="web", address=number)
    key = pushed(acme, {"user": anna.pk}, "mine")
    guesses = {str(delivery_id(UUID(key), number)) for number in numbers}
    assert guesses < {str(pk) for pk in Delivery.objects.values_list("pk", flat=True)}
    page = acme.get(f"{key}/deliveries", query={"page_size": 5}).json()
    receipts = list(page["results"])
    while page["next"]:
        [cursor] = parse_qs(urlsplit(page["next"]).query)["cursor"]
        told = base64.b64decode(cursor + "==", altchars=b"-_").decode()
        assert not [guess for guess in guesses if guess in told]
        page = acme.get(page["next"]).json()
        receipts += page["results"]
    assert len(receipts) == len({receipt["id"] for receipt in receipts}) == len(numbers) + 2
    assert not guesses & {receipt["id"] for receipt in receipts}
    # They stay the same, and what the caller named has the id that the provider gets.
    assert acme.get(f"{key}/deliveries").json()["results"] == receipts
    [mine] = [receipt["id"] for receipt in receipts if receipt["address"]]
    assert mine == str(delivery_id(UUID(key), "mine"))


@pytest.mark.parametrize("said", ["no device at {address}", "id-of-{key}"])
def test_a_provider_that_repeats_it_is_not_quoted(acme: ThirdParty, said: str) -> None:
    """APNs takes over our id, and a gateway may say anything."""
    request = ended(acme, ["mine", {"user": 17}], "mine", SECRET)
    for row in Delivery.objects.all():
        row.provider_id = row.error = said.format(address=row.address, key=row.pk)
        row.status = DeliveryStatus.FAILED
        row.save()
    page = acme.get(f"{request}/deliveries").json()["results"]
    told = {r["address"]: (r["provider_id"], r["error"]["detail"]) for r in page}
    assert told[None] == ("", "")
    mine = delivery_id(UUID(request), "mine")
    assert told["mine"] == (said.format(address="mine", key=mine),) * 2
