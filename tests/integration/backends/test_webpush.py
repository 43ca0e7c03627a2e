"""WebPushBackend against a push service that verifies VAPID and browsers that decrypt, over TLS."""

from __future__ import annotations

import base64
import io
import json
import random
import ssl
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import gevent.pool
import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.management import call_command
from pywebpush import WebPusher

from django_pushjobs.backends import Message, OutcomeClass, Target, vapid, webpush_answers
from django_pushjobs.backends.subscriptions import NoSubscription, Subscription
from django_pushjobs.backends.vapid import Vapid
from django_pushjobs.backends.webpush import MAX_PAYLOAD, WebPushBackend, encrypt, topic
from tests.support.fcm import tls
from tests.support.peers import RESET, Reply, as_json
from tests.support.provider import provider, raw
from tests.support.push_service import ANSWERS, Browser, PushService, Received, push_service
from tests.support.sloppy import SLOPPY

SUBJECT = "mailto:push@example.org"
PRIVATE_KEY = vapid.private_text(vapid.new_key())
MESSAGE = Message(
    request_id=uuid.uuid4(),
    title="Grüße",
    body="secret body",
    data={"order": 17},
    options={
        "image": "https://example.org/a.png",
        "badge": 3,
        "click_action": "https://example.org/orders/17",
    },
    priority="high",
    collapse_key="order-17",
    expires_at=datetime(2100, 1, 2, 3, 4, 5, tzinfo=UTC),
)


def target(address: str) -> Target:
    return Target(delivery_id=uuid.uuid4(), address=address)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    return tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def service(certificate: tuple[ssl.SSLContext, str], settings: Any) -> Iterator[PushService]:
    settings.PUSHJOBS = settings.PUSHJOBS | {"INSECURE_DESTINATIONS": True}
    with push_service(certificate[0]) as running:
        yield running


@pytest.fixture
def backend(
    service: PushService, certificate: tuple[ssl.SSLContext, str]
) -> Iterator[WebPushBackend]:
    backend = make(ca_file=certificate[1])
    yield backend
    backend.close()


def make(**options: Any) -> WebPushBackend:
    options = {"private_key": PRIVATE_KEY, "subject": SUBJECT, "timeout": 20} | options
    options.setdefault("push_services", ["127.0.0.1"])
    return WebPushBackend(alias="web", **options)


def test_every_field_arrives_and_only_the_browser_can_read_it(
    service: PushService, backend: WebPushBackend
) -> None:
    to = target(service.subscribe())
    outcome = backend.push(MESSAGE, to)
    assert outcome.kind is OutcomeClass.OK
    assert outcome.provider_id == f"{service.origin}/m/1"
    (got,) = service.received
    assert got.message == {
        "web_push": 8030,
        "id": str(to.delivery_id),
        "app_badge": 3,
        "notification": {
            "title": "Grüße",
            "body": "secret body",
            "navigate": "https://example.org/orders/17",
            "image": "https://example.org/a.png",
            "tag": "order-17",
            "data": {"order": 17},
        },
    }
    assert got.headers["ttl"] == "2419200"
    assert got.headers["urgency"] == "high"
    assert got.headers["topic"] == "order-17"
    assert b"secret" not in got.body
    (claims,) = service.authorizations.values()
    assert claims["sub"] == SUBJECT


def test_a_message_with_nothing_to_show(service: PushService, backend: WebPushBackend) -> None:
    to = target(service.subscribe())
    message = Message(request_id=uuid.uuid4(), data={"a": 1}, priority="low")
    assert backend.push(message, to).kind is OutcomeClass.OK
    (got,) = service.received
    assert got.message == {"id": str(to.delivery_id), "data": {"a": 1}}
    assert got.headers["urgency"] == "low"
    topic_of_it = base64.urlsafe_b64encode(to.delivery_id.bytes).decode().rstrip("=")
    assert got.headers["topic"] == topic_of_it


def test_what_is_passed_through_counts(service: PushService, backend: WebPushBackend) -> None:
    override = {
        "headers": {"TTL": 5, "Urgency": "very-low", "Topic": "mine"},
        "notification": {"icon": "https://example.org/i.png", "image": None},
    }
    message = replace(MESSAGE, options={**MESSAGE.options, "webpush": override})
    assert backend.validate(message) == []
    assert backend.push(message, target(service.subscribe())).kind is OutcomeClass.OK
    (got,) = service.received
    assert (got.headers["ttl"], got.headers["urgency"], got.headers["topic"]) == (
        *("5", "very-low"),
        "mine",
    )
    assert got.message["notification"]["icon"] == "https://example.org/i.png"
    assert "image" not in got.message["notification"]
    assert "headers" not in got.message


@pytest.mark.parametrize(
    ("headers", "pointer"),
    [
        ({"Topic": "a b"}, "/options/webpush/headers/Topic"),
        ({"Urgency": "soon"}, "/options/webpush/headers/Urgency"),
        ({"TTL": "-1"}, "/options/webpush/headers/TTL"),
        ({"TTL": 2_419_201}, "/options/webpush/headers/TTL"),
        ({"X-A": "1\r\nX-B: 2"}, "/options/webpush/headers/X-A"),
        (["TTL"], "/options/webpush/headers"),
    ],
)
def test_headers_that_are_wrong_are_named_and_never_sent(
    service: PushService, backend: WebPushBackend, headers: Any, pointer: str
) -> None:
    message = replace(MESSAGE, options={"webpush": {"headers": headers}})
    (error,) = backend.validate(message)
    assert error.pointer == pointer
    assert backend.push(message, target(service.subscribe())).kind is OutcomeClass.OK


@pytest.mark.parametrize(
    ("answer", "kind", "code", "wait"),
    [
        ("200", OutcomeClass.OK, "", None),
        ("202", OutcomeClass.OK, "", None),
        ("204", OutcomeClass.OK, "", None),
        ("404", OutcomeClass.DROP, "http_404", None),
        ("410", OutcomeClass.DROP, "http_410", None),
        ("mismatch", OutcomeClass.DROP, "VapidPkHashMismatch", None),
        ("do-not-correspond", OutcomeClass.DROP, "key_mismatch", None),
        ("public-key-mismatch", OutcomeClass.DROP, "key_mismatch", None),
        ("406", OutcomeClass.FAIL, "http_406", None),
        ("errno-112", OutcomeClass.FAIL, "invalid_ttl", None),
        ("400", OutcomeClass.CONFIG, "http_400", None),
        ("401", OutcomeClass.CONFIG, "http_401", None),
        ("403", OutcomeClass.CONFIG, "http_403", None),
        ("BadJwtToken", OutcomeClass.CONFIG, "BadJwtToken", None),
        ("errno-109", OutcomeClass.CONFIG, "invalid_vapid", None),
        ("errno-110", OutcomeClass.CONFIG, "invalid_crypto", None),
        ("413", OutcomeClass.FAIL, "http_413", None),
        ("errno-104", OutcomeClass.FAIL, "too_large", None),
        ("429", OutcomeClass.THROTTLE, "http_429", 75),
        ("500", OutcomeClass.RETRY, "http_500", None),
        ("503", OutcomeClass.RETRY, "http_503", 20),
        ("errno-201", OutcomeClass.RETRY, "backoff", None),
        ("errno-202", OutcomeClass.RETRY, "retry_now", None),
    ],
)
def test_what_an_answer_means(
    service: PushService,
    backend: WebPushBackend,
    answer: str,
    kind: OutcomeClass,
    code: str,
    wait: float | None,
) -> None:
    service.script = lambda received: ANSWERS[answer]
    outcome = backend.push(MESSAGE, target(service.subscribe()))
    assert (outcome.kind, outcome.code, outcome.retry_after) == (kind, code, wait)


def test_every_answer_has_its_test() -> None:
    marks = test_what_an_answer_means.pytestmark  # type: ignore[attr-defined]
    assert {row[0] for row in marks[0].args[1]} == ANSWERS.keys()


def test_what_was_accepted_stays_accepted_whatever_the_body_says(
    service: PushService, backend: WebPushBackend
) -> None:
    for said in ({"errno": 110}, {"reason": "VapidPkHashMismatch"}, "public key mismatch"):
        service.script = lambda received, said=said: as_json(201, said)  # type: ignore[misc]
        assert backend.push(MESSAGE, target(service.subscribe())).kind is OutcomeClass.OK


@pytest.fixture
def windows(service: PushService, monkeypatch: pytest.MonkeyPatch) -> PushService:
    """The push service, taken for that of Windows."""
    monkeypatch.setattr(webpush_answers, "WINDOWS", "127.0.0.1")
    service.script = as_windows
    return service


def as_windows(received: Received) -> Reply | None:
    """Microsoft's "Push notification service request and response headers"."""
    uncached = received.headers.get("x-wns-cache-policy") == "no-cache"
    if (received.headers["ttl"] == "0") == uncached:
        return None
    return Reply(
        400,
        headers={
            "X-WNS-ERROR-DESCRIPTION": "Ttl value conflicts with X-WNS-Cache-Policy.",
            "X-WNS-STATUS": "dropped",
            "X-WNS-NOTIFICATIONSTATUS": "dropped",
        },
    )


@pytest.mark.parametrize("ttl", ["0", "00", 0, 1, 60])
def test_windows_is_told_not_to_keep_what_has_no_time_to_live(
    windows: PushService, backend: WebPushBackend, ttl: Any
) -> None:
    message = replace(MESSAGE, options={"webpush": {"headers": {"TTL": ttl}}})
    assert backend.push(message, target(windows.subscribe())).kind is OutcomeClass.OK


def test_windows_is_told_so_at_the_last_second(
    windows: PushService, backend: WebPushBackend
) -> None:
    message = replace(MESSAGE, expires_at=datetime.now(UTC))
    assert backend.push(message, target(windows.subscribe())).kind is OutcomeClass.OK
    (got,) = windows.received
    assert got.headers["ttl"] == "0"


def test_nobody_else_gets_a_header_of_windows(
    service: PushService, backend: WebPushBackend
) -> None:
    message = replace(MESSAGE, options={"webpush": {"headers": {"TTL": 0}}})
    assert backend.push(message, target(service.subscribe())).kind is OutcomeClass.OK
    assert "x-wns-cache-policy" not in service.received[0].headers


def test_headers_that_windows_refuses_are_the_fault_of_the_message(
    windows: PushService, backend: WebPushBackend
) -> None:
    windows.script = lambda received: as_windows(
        replace(received, headers=received.headers | {"x-wns-cache-policy": "no-cache"})
    )
    outcome = backend.push(MESSAGE, target(windows.subscribe()))
    assert (outcome.kind, outcome.code) == (OutcomeClass.FAIL, "wns_headers")


@pytest.mark.parametrize(("headers", "wait"), [({}, 900), ({"Retry-After": "120"}, 120)])
def test_windows_throttles_in_its_own_way(
    windows: PushService, backend: WebPushBackend, headers: dict[str, str], wait: float
) -> None:
    windows.script = lambda received: Reply(406, headers=headers)
    outcome = backend.push(MESSAGE, target(windows.subscribe()))
    assert (outcome.kind, outcome.code) == (OutcomeClass.THROTTLE, "wns_throttled")
    assert outcome.retry_after == wait


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("notify.windows.com", True),
        ("wns2-par02p.notify.windows.com", True),
        ("notify.windows.com.example.org", False),
        ("evilnotify.windows.com", False),
    ],
)
def test_the_hosts_of_windows(host: str, expected: bool) -> None:
    assert webpush_answers.is_windows(host) is expected


def test_a_subscription_that_is_gone(service: PushService, backend: WebPushBackend) -> None:
    address = service.subscribe()
    service.browsers.clear()
    assert backend.push(MESSAGE, target(address)).kind is OutcomeClass.DROP


class Clock:
    """The clocks of :mod:`.vapid`: the one on the wall is ``ahead`` seconds ahead."""

    ahead = 0.0

    def time(self) -> float:
        return time.time() + self.ahead

    def monotonic(self) -> float:
        return time.monotonic()


@pytest.mark.parametrize("days", [3, 0.6, -3])
def test_a_token_by_a_clock_that_was_wrong_does_not_live_on(
    service: PushService, backend: WebPushBackend, monkeypatch: pytest.MonkeyPatch, days: float
) -> None:
    clock = Clock()
    monkeypatch.setattr(vapid, "time", clock)
    clock.ahead = days * 86_400
    to = target(service.subscribe())
    assert backend.push(MESSAGE, to).kind is OutcomeClass.CONFIG
    clock.ahead = 0
    assert backend.push(MESSAGE, to).kind is OutcomeClass.OK
    (got,) = service.received
    exp = service.authorizations[got.headers["authorization"]]["exp"]
    assert exp <= time.time() + 86_400


@pytest.mark.parametrize("answer", ["BadJwtToken", "errno-109", "401", "403"])
def test_a_token_that_is_refused_is_made_anew_once(
    service: PushService, backend: WebPushBackend, answer: str
) -> None:
    to = target(service.subscribe())
    assert backend.push(MESSAGE, to).kind is OutcomeClass.OK
    refused = set(service.authorizations)
    service.script = lambda received: (
        ANSWERS[answer] if received.headers["authorization"] in refused else None
    )
    pool = gevent.pool.Pool(50)
    outcomes = pool.map(lambda _: backend.push(MESSAGE, to), range(50))
    assert {outcome.kind for outcome in outcomes} == {OutcomeClass.OK}
    assert len(service.authorizations) == 2
    # If they refuse every token, then our tokens are not the reason.
    service.script = lambda received: ANSWERS[answer]
    outcomes = pool.map(lambda _: backend.push(MESSAGE, to), range(50))
    assert {outcome.kind for outcome in outcomes} == {OutcomeClass.CONFIG}
    assert len(service.authorizations) == 2


def test_a_token_is_not_made_anew_for_what_is_not_its_fault(
    service: PushService, backend: WebPushBackend
) -> None:
    for answer in ("do-not-correspond", "public-key-mismatch", "400", "404", "errno-110", "500"):
        service.script = lambda received, answer=answer: ANSWERS[answer]  # type: ignore[misc]
        backend.push(MESSAGE, target(service.subscribe()))
    assert len(service.authorizations) == 1
    assert service.calls == 6


def test_lost_connections_and_late_answers(service: PushService, backend: WebPushBackend) -> None:
    to = target(service.subscribe())
    service.script = lambda received: RESET
    outcome = backend.push(MESSAGE, to)
    assert (outcome.code, outcome.unknown) == ("connection_lost", True)
    service.script = lambda received: Reply(late=5)
    backend.timeout = 0.2
    assert backend.push(MESSAGE, to).code == "timeout"


def changed(address: str, **members: Any) -> str:
    return json.dumps(json.loads(address) | members)


@pytest.mark.parametrize(
    "address",
    [
        "device-token",
        "{}",
        "[]",
        "null",
        '{"endpoint": 1, "keys": {}}',
        '{"endpoint": "https://example.org/", "keys": {"p256dh": "", "auth": ""}}',
    ],
)
def test_what_is_no_subscription_is_dropped(backend: WebPushBackend, address: str) -> None:
    outcome = backend.push(MESSAGE, target(address))
    assert (outcome.kind, outcome.code) == (OutcomeClass.DROP, "bad_subscription")


def test_keys_that_are_wrong() -> None:
    good = Browser("/push/1").subscription("https://push.example.org")
    keys = json.loads(good)["keys"]
    Subscription.parse(good)
    for wrong in (
        keys | {"auth": "AAAA"},
        keys | {"p256dh": keys["p256dh"][:-4]},
        keys | {"p256dh": "B" + "A" * 86},
        keys | {"auth": "not base64url!"},
        keys | {"auth": None},
    ):
        with pytest.raises(NoSubscription):
            Subscription.parse(changed(good, keys=wrong))


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://169.254.169.254/latest",
        "https://10.0.0.1/push",
        "https://user:password@push.example.org/",
        "https://[::ffff:127.0.0.1]/",
        "ftp://push.example.org/",
        "http://push.example.org/",
        "https://127.0.0.1/push",
        "https://localhost/push",
    ],
)
def test_an_endpoint_in_our_own_network_is_not_talked_to(endpoint: str) -> None:
    backend = make()
    address = changed(Browser("/").subscription("https://push.example.org"), endpoint=endpoint)
    outcome = backend.push(MESSAGE, target(address))
    assert (outcome.kind, outcome.code) == (OutcomeClass.FAIL, "forbidden_endpoint")
    backend.close()


def test_a_certificate_that_is_not_trusted(service: PushService) -> None:
    backend = make()
    outcome = backend.push(MESSAGE, target(service.subscribe()))
    assert (outcome.kind, outcome.code) == (OutcomeClass.CONFIG, "bad_certificate")
    backend.close()


def test_an_endpoint_that_somebody_made_up_does_not_pause_the_backend(
    service: PushService, certificate: tuple[ssl.SSLContext, str]
) -> None:
    to = target(service.subscribe())
    service.script = lambda received: ANSWERS["403"]
    backend = make(ca_file=certificate[1], push_services=["push.example.org", "0.0.1"])
    assert backend.push(MESSAGE, to).kind is OutcomeClass.CONFIG  # 127.0.0.1 is below 0.0.1
    backend.close()
    for options in ({"ca_file": certificate[1]}, {}):
        backend = make(push_services=["push.example.org", "7.0.0.1"], **options)
        assert backend.push(MESSAGE, to).kind is OutcomeClass.FAIL
        backend.close()


def test_one_token_an_origin(service: PushService, backend: WebPushBackend) -> None:
    for _ in range(5):
        backend.push(MESSAGE, target(service.subscribe()))
    assert len(service.authorizations) == 1
    keys = Vapid(PRIVATE_KEY, SUBJECT)
    assert keys.authorization("https://a.example") != keys.authorization("https://b.example")
    assert keys.authorization("https://a.example") == keys.authorization("https://a.example")


def test_origins_are_bounded(service: PushService, certificate: tuple[ssl.SSLContext, str]) -> None:
    backend = make(ca_file=certificate[1], origins=2)
    for n in range(5):
        backend._origins[f"https://push-{n}.example"]
    assert len(backend._origins) == 2
    assert backend.push(MESSAGE, target(service.subscribe())).kind is OutcomeClass.OK
    assert len(backend._origins) == 2
    backend.close()


def test_the_largest_payload_arrives_and_one_byte_more_is_refused(
    service: PushService, backend: WebPushBackend
) -> None:
    message = Message(request_id=uuid.uuid4(), body="x")
    to = target(service.subscribe())
    assert backend.push(message, to).kind is OutcomeClass.OK
    size = len(json.dumps(service.received[0].message, separators=(",", ":")))
    fits = replace(message, body="x" * (1 + MAX_PAYLOAD - size))
    assert backend.validate(fits) == []
    assert backend.push(fits, to).kind is OutcomeClass.OK
    assert len(service.received[1].body) == 4_096
    over = replace(fits, body=fits.body + "x")
    (error,) = backend.validate(over)
    assert error.pointer == "/body"
    assert "3994 bytes" in error.detail
    outcome = backend.push(over, to)
    assert (outcome.kind, outcome.code) == (OutcomeClass.FAIL, "payload_too_large")


def test_pywebpush_encrypts_the_same_but_for_salt_and_key() -> None:
    browser = Browser("/push/1")
    info = json.loads(browser.subscription("https://push.example.org"))
    plain = json.dumps({"text": "Grüße"}).encode()
    theirs = WebPusher(info).encode(plain)["body"]
    subscription = Subscription.parse(json.dumps(info))
    ours = encrypt(plain, subscription, http_ece.encrypt)
    assert browser.decrypt(ours) == browser.decrypt(theirs) == plain
    assert ours[16:21] == theirs[16:21]
    assert len(ours) == len(theirs)
    assert ours[:16] != theirs[:16]
    assert ours[21:86] != theirs[21:86]

    # With the same salt and key the whole of it is the same.
    key = ec.generate_private_key(ec.SECP256R1())
    with (
        patch("os.urandom", return_value=b"0123456789abcdef"),
        patch.object(ec, "generate_private_key", return_value=key),
    ):
        assert (
            encrypt(plain, subscription, http_ece.encrypt) == WebPusher(info).encode(plain)["body"]
        )


@pytest.mark.parametrize(
    ("key", "expected"),
    [("", ""), ("order-17", "order-17"), ("a" * 32, "a" * 32)],
)
def test_a_collapse_key_that_is_a_topic_is_one(key: str, expected: str) -> None:
    assert topic(key) == expected


@pytest.mark.parametrize("key", ["a b", "ü", "a" * 33])
def test_any_other_collapse_key_has_a_topic(key: str) -> None:
    assert len(topic(key)) == 32
    assert topic(key) == topic(key)
    assert topic(key).replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "wrong",
    [
        {"private_key": "secret"},
        {"private_key": ""},
        {"subject": "push@example.org"},
        {"subject": "mailto:root@localhost"},
        {"subject": "mailto:root@host.local"},
        {"subject": "https://example.invalid"},
        {"max_payload": 4_096},
        {"ttl": -1},
        {"origins": 0},
        {"answers": {"404": "gone"}},
    ],
)
def test_wrong_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))) as raised:
        make(**wrong)
    assert "secret" not in str(raised.value)


def test_the_command_makes_a_key_that_the_backend_takes() -> None:
    out = io.StringIO()
    call_command("pushjobs_vapid", stdout=out)
    lines = dict(line.split(":") for line in out.getvalue().splitlines())
    private, public = (lines[name].strip() for name in ("private_key", "public key"))
    make(private_key=private).close()
    assert len(base64.urlsafe_b64decode(public + "=")) == 65
    again = io.StringIO()
    call_command("pushjobs_vapid", public_of=private, stdout=again)
    assert again.getvalue().strip() == public
    make(private_key=vapid.load(private).private_pem().decode()).close()


def test_nothing_is_lost_among_errors_and_resets(
    service: PushService, backend: WebPushBackend
) -> None:
    """The small form of ``python -m benchmarks.soak``."""
    chance = random.Random(7)

    def script(received: Received) -> Reply | None:
        if chance.random() >= 0.1:
            return None
        return chance.choice([*(ANSWERS[name] for name in ANSWERS if name[0] != "2"), RESET])

    service.script = script
    addresses = [service.subscribe() for _ in range(20)]
    messages = [replace(MESSAGE, data={"n": n}) for n in range(500)]
    pool = gevent.pool.Pool(50)
    kinds = Counter(
        outcome.kind
        for outcome in pool.imap_unordered(
            lambda m: backend.push(m, target(addresses[m.data["n"] % 20])), messages
        )
    )
    taken = [got.message["notification"]["data"]["n"] for got in service.received]
    assert len(taken) == len(set(taken)) == kinds[OutcomeClass.OK]
    assert kinds.total() == 500
    for got in service.received:
        browser = service.browsers[got.path]
        assert (
            browser.subscription(service.origin)
            == addresses[got.message["notification"]["data"]["n"] % 20]
        )


@pytest.mark.parametrize("answer", SLOPPY)
def test_a_status_stands_whatever_follows_it(
    certificate: tuple[ssl.SSLContext, str], settings: Any, answer: bytes
) -> None:
    settings.PUSHJOBS = settings.PUSHJOBS | {"INSECURE_DESTINATIONS": True}
    with provider(tls=certificate[0]) as service:
        subscription = Browser("/push/1").subscription(service.url.removesuffix("/messages"))
        backend = make(ca_file=certificate[1])
        service.script(raw(b"HTTP/1.1 " + answer))
        to = target(subscription)
        assert [backend.push(MESSAGE, to).kind for _ in range(2)] == [OutcomeClass.OK] * 2
        assert len(service.requests) == 2
        backend.close()
