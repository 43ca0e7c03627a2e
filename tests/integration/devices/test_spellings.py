"""A device is not the spelling of its address, and belongs to one user at a time.

The push services here are real ones: they verify, decrypt, and say what they got.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from pytest_django import Settings

from django_pushjobs import devices, services
from django_pushjobs.backends import backends, vapid
from django_pushjobs.delivery import dead_addresses, parts
from django_pushjobs.delivery.attempts import deliver
from django_pushjobs.devices.proofs import CHALLENGE
from django_pushjobs.models import Device, PushRequest
from django_pushjobs.models.identifiers import delivery_id
from django_pushjobs.states import FINAL, Status
from tests.support.apns import Answer, Peer, apns
from tests.support.fcm import tls
from tests.support.push_service import PushService, push_service
from tests.support.scripted import everything_is_due

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "0123456789abcdef" * 4
RESOLVERS = {
    "address": {"RESOLVER": "django_pushjobs.recipients.AddressResolver"},
    "user": {"RESOLVER": "django_pushjobs.devices.resolvers.UserResolver"},
    "tag": {"RESOLVER": "django_pushjobs.devices.resolvers.TagResolver"},
}
URL = "/api/me/devices"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    return tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def service(certificate: tuple[ssl.SSLContext, str]) -> Iterator[PushService]:
    with push_service(certificate[0]) as running:
        yield running


@pytest.fixture
def apple() -> Iterator[Peer]:
    with apns() as running:
        yield running


@pytest.fixture(autouse=True)
def _backends(
    service: PushService,
    apple: Peer,
    certificate: tuple[ssl.SSLContext, str],
    settings: Settings,
) -> Iterator[None]:
    web = {
        "private_key": vapid.private_text(vapid.new_key()),
        "subject": "mailto:push@example.org",
        "ca_file": certificate[1],
    }
    settings.PUSHJOBS = settings.PUSHJOBS | {
        "BACKENDS": settings.PUSHJOBS["BACKENDS"]
        | {
            "web": {"BACKEND": "django_pushjobs.backends.webpush.WebPushBackend", "OPTIONS": web},
            "apns": {
                "BACKEND": "django_pushjobs.backends.apns.APNsBackend",
                "OPTIONS": apple.options,
            },
        },
        "DEVICE_BACKENDS": {"web": "web", "ios": "apns", "ios:beta": "apns", "other": "dummy"},
        "RESOLVERS": RESOLVERS,
        "INSECURE_DESTINATIONS": True,
    }
    dead_addresses.forget()
    yield
    backends.close_all()


@pytest.fixture
def anna() -> User:
    return User.objects.create_user("anna", password="anna")


@pytest.fixture
def bert() -> User:
    return User.objects.create_user("bert")


def spellings(subscription: str) -> list[str]:
    given = json.loads(subscription)
    endpoint, keys = given["endpoint"], given["keys"]
    padded = {name: text + "=" * (-len(text) % 4) for name, text in keys.items()}
    return [
        subscription,
        json.dumps({"keys": keys, "endpoint": endpoint}),
        json.dumps({"endpoint": endpoint, "keys": keys}, separators=(",", ":")),
        json.dumps({"endpoint": endpoint, "expirationTime": 1, "keys": padded}),
        json.dumps({"keys": dict(reversed(padded.items())), "endpoint": endpoint}, indent=1),
    ]


def register(user: User | None, address: str, platform: str = "web", **fields: Any) -> Device:
    device, _ = devices.register(user, platform=platform, address=address, **fields)
    return device


def push(*recipients: Any, backend: str = "web", title: str = "Hello") -> Status | None:
    return deliver(services.submit(recipients=list(recipients), title=title, backend=backend).pk)


def test_five_spellings_of_a_subscription_are_one_device(service: PushService, anna: User) -> None:
    made = {
        register(anna, address.replace("\n", "")).pk for address in spellings(service.subscribe())
    }
    assert len(made) == Device.objects.count() == 1
    assert push({"user": anna.pk}) is Status.SUCCEEDED
    assert len(service.received) == 1


def test_two_users_of_one_browser_never_see_each_others_message(
    service: PushService, anna: User, bert: User
) -> None:
    hers, his, *_ = spellings(service.subscribe())
    register(anna, hers, tags=["private"])
    register(bert, his)
    assert push({"user": anna.pk}, title="For Anna") is Status.FAILED
    assert push({"tag": "private"}, title="For Anna") is Status.FAILED
    assert push({"user": bert.pk}, title="For Bert") is Status.SUCCEEDED
    assert [r.message["notification"]["title"] for r in service.received] == ["For Bert"]
    register(anna, hers)
    assert push({"user": bert.pk}, title="For Bert") is Status.FAILED


def test_a_token_is_one_device_in_either_case_and_whatever_its_app(
    apple: Peer, anna: User, bert: User
) -> None:
    first = register(anna, TOKEN, "ios")
    for address, app in ((TOKEN.upper(), ""), (TOKEN, "beta"), (TOKEN.upper(), "beta")):
        assert register(bert, address, "ios", app=app).pk == first.pk
    assert push({"user": anna.pk}, backend="apns") is Status.FAILED
    assert push({"user": bert.pk}, backend="apns") is Status.SUCCEEDED
    assert len(apple.received) == 1


def test_another_platform_takes_an_address_over(anna: User, bert: User) -> None:
    register(anna, TOKEN, "other")
    register(bert, TOKEN, "ios")
    [device] = Device.objects.all()
    assert (device.user, device.platform, device.backend) == (bert, "ios", "apns")


def test_two_spellings_in_one_request_are_pushed_once(apple: Peer, service: PushService) -> None:
    mine = spellings(service.subscribe())
    assert push(*(text.replace("\n", "") for text in mine)) is Status.SUCCEEDED
    assert len(service.received) == 1
    assert push(TOKEN.upper(), {"address": TOKEN}, backend="apns") is Status.SUCCEEDED
    assert len(apple.received) == 1


def test_a_user_and_a_spelling_of_its_address_are_pushed_once(apple: Peer, anna: User) -> None:
    register(anna, TOKEN, "ios")
    assert push({"user": anna.pk}, TOKEN.upper(), backend="apns") is Status.SUCCEEDED
    assert len(apple.received) == 1


def test_the_id_of_a_delivery_is_that_of_the_device(apple: Peer, anna: User) -> None:
    """At the second attempt the device is spelled in another way, and still it is the same push."""
    register(anna, TOKEN.upper(), "ios")
    row = services.submit(recipients=[{"user": anna.pk}], title="Hello", backend="apns")
    apple.script.append(Answer(503, "ServiceUnavailable"))
    assert deliver(row.pk) is Status.PENDING
    register(anna, TOKEN, "ios")
    everything_is_due()
    PushRequest.objects.update(status=Status.QUEUED)
    assert deliver(row.pk) is Status.SUCCEEDED
    ids = [request.headers["apns-id"] for request in apple.received]
    assert ids == [str(delivery_id(row.pk, TOKEN))] * 2
    assert row.deliveries.count() == 1


def test_parts_know_a_device_by_any_spelling(apple: Peer, settings: Settings) -> None:
    settings.PUSHJOBS = settings.PUSHJOBS | {"PART_SIZE": 2}
    tokens = [f"{number:064x}" for number in (0xA, 0xB, 0xC)]
    row = services.submit(
        recipients=[*tokens, *(token.upper() for token in tokens)], title="Hello", backend="apns"
    )
    deliver(row.pk)
    apple.script.append(Answer(503, "ServiceUnavailable"))
    for _ in range(2):
        for part in PushRequest.objects.filter(parent=row).exclude(status__in=FINAL):
            everything_is_due()
            PushRequest.objects.filter(pk=part.pk).update(status=Status.QUEUED)
            deliver(part.pk)
    gathered = PushRequest.objects.get(pk=row.pk)
    assert parts.gather(gathered)
    gathered.refresh_from_db()
    assert (gathered.status, gathered.total, gathered.accepted) == (Status.SUCCEEDED, 3, 3)
    ids = [request.headers["apns-id"] for request in apple.received]
    assert len(ids) == 4
    assert set(ids) == {str(delivery_id(row.pk, token)) for token in tokens}


def test_a_dead_address_drops_its_device_however_it_is_spelled(
    service: PushService, anna: User
) -> None:
    mine, other, *_ = spellings(service.subscribe())
    device = register(anna, mine)
    service.browsers.clear()
    push(other)
    device.refresh_from_db()
    assert device.state == "dropped"


def test_another_spelling_does_not_take_an_address_over(
    service: PushService, anna: User, bert: User
) -> None:
    """Only the browser itself gets the code, and can read it: the push is encrypted for it."""
    hers, his, *_ = spellings(service.subscribe())
    register(anna, hers)
    app = Client()
    app.force_login(bert)
    body = {"platform": "web", "address": his}
    assert app.post(URL, body, content_type="application/json").status_code == 202
    deliver(PushRequest.objects.get().pk)
    [received] = service.received
    proof = received.message["data"][CHALLENGE]
    assert "notification" not in received.message
    assert Device.objects.get().user == anna
    answer = app.post(URL, body | {"proof": proof}, content_type="application/json")
    assert answer.status_code == 200
    assert Device.objects.get().user == bert


@pytest.mark.parametrize("recipient", ["user", "tag", "address", "part"])
def test_a_device_that_registered_after_it_was_found_dead_survives(
    apple: Peer, anna: User, settings: Settings, recipient: str
) -> None:
    """APNs says since when a token is dead, and the app has registered it again since."""
    if recipient == "part":
        settings.PUSHJOBS = settings.PUSHJOBS | {"PART_SIZE": 1}
        register(None, "ab" * 32, "ios", tags=["all"])
    device = register(anna, TOKEN.upper(), "ios", tags=["all", "anna"])
    before = device.registered_at - timedelta(seconds=1)
    found = Answer(410, "Unregistered", timestamp=int(before.timestamp() * 1_000))
    apple.script += [found] * (2 if recipient == "part" else 1)
    row = services.submit(
        recipients=[
            {
                "user": {"user": anna.pk},
                "tag": {"tag": "anna"},
                "address": TOKEN,
                "part": {"tag": "all"},
            }[recipient]
        ],
        title="Hello",
        backend="apns",
    )
    deliver(row.pk)
    for part in PushRequest.objects.filter(parent=row):
        deliver(part.pk)
    assert len(apple.received) == (2 if recipient == "part" else 1)
    device.refresh_from_db()
    assert device.state == "active"
    if recipient in ("user", "tag"):
        # The token is alive, so the message is pushed again.
        everything_is_due()
        PushRequest.objects.update(status=Status.QUEUED)
        assert deliver(row.pk) is Status.SUCCEEDED


@pytest.mark.parametrize("recipient", ["user", "address"])
def test_a_device_that_was_found_dead_after_it_registered_is_dropped(
    apple: Peer, anna: User, recipient: str
) -> None:
    device = register(anna, TOKEN, "ios")
    since = device.registered_at + timedelta(milliseconds=2)
    apple.script.append(Answer(410, "Unregistered", timestamp=int(since.timestamp() * 1_000)))
    push({"user": anna.pk} if recipient == "user" else TOKEN, backend="apns")
    device.refresh_from_db()
    assert (device.state, device.reason) == ("dropped", "Unregistered")


@pytest.mark.parametrize(
    ("platform", "address"),
    [
        *(("web", address) for address in ("hello", "{}", TOKEN, '{"endpoint":"https://h/"}')),
        *(("ios", address) for address in ("hello", "ab cd", f" {TOKEN}", f"<{TOKEN}>", "abc")),
    ],
)
def test_what_the_backend_cannot_know_is_refused(
    client: Client, anna: User, platform: str, address: str
) -> None:
    client.force_login(anna)
    body = {"platform": platform, "address": address}
    response = client.post(URL, body, content_type="application/json")
    assert response.status_code == 400
    assert response.headers["Content-Type"] == "application/problem+json"
    [error] = response.json()["errors"]
    assert (error["pointer"], error["code"]) == ("/address", "invalid_address")
    assert address not in error["detail"]
    assert not Device.objects.exists()


def test_the_admin_finds_any_spelling(
    admin_client: Client, service: PushService, anna: User
) -> None:
    mine, other, *_ = spellings(service.subscribe())
    register(anna, mine)
    register(anna, TOKEN, "ios")
    for term in (mine, other, TOKEN.upper()):
        page = admin_client.get("/admin/django_pushjobs/device/", {"q": term})
        assert page.context["cl"].result_count == 1


def test_whoever_registers_last_owns_it_under_races(service: PushService) -> None:
    """Eight users register one browser at once, each in a spelling of their own, again and again;
    now and then somebody removes it."""
    texts = [text.replace("\n", "") for text in spellings(service.subscribe())]
    users = [User.objects.create_user(f"user-{number}") for number in range(8)]
    start = threading.Barrier(len(users))

    def call(number: int) -> list[bool]:
        start.wait()
        made = []
        try:
            for turn in range(6):
                device, is_new = devices.register(
                    users[number],
                    platform="web",
                    address=texts[(number + turn) % len(texts)],
                    tags=[f"of-{number}", "all"],
                )
                made.append(is_new)
                if turn == 3:
                    devices.unregister(users[number], device.pk)
            return made
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(users)) as pool:
        made = [is_new for news in pool.map(call, range(len(users))) for is_new in news]
    assert any(made)
    [device] = Device.objects.all()
    owner = device.user
    assert owner is not None
    # What is stored comes from one of them, and not a part from each.
    assert device.tags == ["all", f"of-{users.index(owner)}"]
    for user in users:
        push({"user": user.pk}, title=user.username)
    push({"tag": "all"}, title="all")
    assert [r.message["notification"]["title"] for r in service.received] == [owner.username, "all"]
