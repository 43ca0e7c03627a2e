"""FCMBackend against a server that speaks FCM's protocol, over TLS."""

from __future__ import annotations

import json
import random
import ssl
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import gevent
import gevent.pool
import pytest

from django_pushjobs.backends import Message, OutcomeClass, Target, fcm_account
from django_pushjobs.backends.fcm import FCMBackend, wire_format
from tests.support.fcm import ANSWERS, FCM, PROJECT, error, fcm, tls
from tests.support.peers import RESET, Reply
from tests.support.provider import provider, raw
from tests.support.sloppy import SLOPPY

MESSAGE = Message(
    request_id=uuid.uuid4(),
    title="Grüße",
    body="secret body",
    data={"order": 17, "name": "Zoë", "list": [1, None]},
    options={
        "image": "https://example.org/a.png",
        "badge": 3,
        "sound": "ping",
        "click_action": "https://example.org/orders/17",
    },
    priority="high",
    collapse_key="order-17",
    expires_at=datetime(2100, 1, 2, 3, 4, 5, tzinfo=UTC),
)


def target(address: str = "device-token:APA91b") -> Target:
    return Target(delivery_id=uuid.uuid4(), address=address)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    return tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def peer(certificate: tuple[ssl.SSLContext, str]) -> Iterator[FCM]:
    with fcm(certificate[0]) as running:
        yield running


@pytest.fixture
def backend(peer: FCM, certificate: tuple[ssl.SSLContext, str]) -> Iterator[FCMBackend]:
    backend = make(peer, certificate[1])
    yield backend
    backend.close()


def make(peer: FCM, ca_file: str, **options: Any) -> FCMBackend:
    options = {"credentials": peer.credentials(), "url": peer.url, "timeout": 20} | options
    return FCMBackend(alias="fcm", ca_file=ca_file, **options)


def test_every_field_arrives(peer: FCM, backend: FCMBackend) -> None:
    to = target()
    outcome = backend.push(MESSAGE, to)
    assert outcome.kind is OutcomeClass.OK
    assert outcome.provider_id == f"projects/{PROJECT}/messages/0:1"
    (got,) = peer.messages
    assert got == {
        "token": to.address,
        "data": {"order": "17", "name": "Zoë", "list": "[1,null]"},
        "notification": {
            "title": "Grüße",
            "body": "secret body",
            "image": "https://example.org/a.png",
        },
        "android": {
            "priority": "HIGH",
            "ttl": "2419200s",
            "collapse_key": "order-17",
            "notification": {
                "tag": "order-17",
                "sound": "ping",
                "click_action": "https://example.org/orders/17",
                "notification_count": 3,
            },
        },
        "apns": {
            "headers": {
                "apns-priority": "10",
                "apns-collapse-id": "order-17",
                "apns-expiration": "4102542245",
            },
            "payload": {
                "aps": {
                    "sound": "ping",
                    "category": "https://example.org/orders/17",
                    "badge": 3,
                    "mutable-content": 1,
                }
            },
        },
        "webpush": {
            "headers": {"TTL": "2419200", "Urgency": "high"},
            "notification": {"tag": "order-17"},
            "fcm_options": {"link": "https://example.org/orders/17"},
        },
    }


def test_a_message_of_data_alone_is_shown_nowhere() -> None:
    message = Message(request_id=uuid.uuid4(), data={"a": ""}, priority="low")
    wire = wire_format(message, target())
    assert "notification" not in wire
    assert wire["data"] == {"a": ""}
    assert wire["android"] == {"priority": "NORMAL", "ttl": "2419200s"}
    assert wire["apns"]["headers"]["apns-priority"] == "5"
    assert wire["apns"]["payload"] == {"aps": {"content-available": 1}}


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("topic:news", {"topic": "news"}),
        (
            "condition:'a' in topics && 'b' in topics",
            {"condition": "'a' in topics && 'b' in topics"},
        ),
        ("abc:APA91", {"token": "abc:APA91"}),
    ],
)
def test_topics_and_conditions(
    peer: FCM, backend: FCMBackend, address: str, expected: dict[str, str]
) -> None:
    assert backend.push(MESSAGE, target(address)).kind is OutcomeClass.OK
    assert peer.messages[0].items() >= expected.items()


def test_what_is_passed_through_counts(peer: FCM, backend: FCMBackend) -> None:
    override = {
        "android": {"ttl": "5s", "notification": {"sound": None, "channel_id": "orders"}},
        "fcm_options": {"analytics_label": "a"},
        "token": "somebody else",
    }
    message = replace(MESSAGE, options={**MESSAGE.options, "fcm": override})
    to = target()
    assert backend.validate(message) == []
    assert backend.push(message, to).kind is OutcomeClass.OK
    (got,) = peer.messages
    assert got["token"] == to.address
    assert got["android"]["ttl"] == "5s"
    assert got["android"]["notification"]["channel_id"] == "orders"
    assert "sound" not in got["android"]["notification"]
    assert got["fcm_options"] == {"analytics_label": "a"}


@pytest.mark.parametrize(
    ("answer", "kind", "code", "wait"),
    [
        ("UNREGISTERED", OutcomeClass.DROP, "UNREGISTERED", None),
        ("INVALID_TOKEN", OutcomeClass.DROP, "INVALID_REGISTRATION", None),
        ("INVALID_TOKEN_FIELD", OutcomeClass.DROP, "INVALID_REGISTRATION", None),
        ("INVALID_FIELD", OutcomeClass.FAIL, "INVALID_ARGUMENT", None),
        ("INVALID_DATA", OutcomeClass.FAIL, "INVALID_ARGUMENT", None),
        ("SENDER_ID_MISMATCH", OutcomeClass.DROP, "SENDER_ID_MISMATCH", None),
        ("PERMISSION_DENIED", OutcomeClass.CONFIG, "PERMISSION_DENIED", None),
        ("UNAUTHENTICATED", OutcomeClass.CONFIG, "UNAUTHENTICATED", None),
        ("THIRD_PARTY_AUTH_ERROR", OutcomeClass.CONFIG, "THIRD_PARTY_AUTH_ERROR", None),
        ("QUOTA_EXCEEDED", OutcomeClass.THROTTLE, "QUOTA_EXCEEDED", 60),
        ("QUOTA_EXCEEDED_WAIT", OutcomeClass.THROTTLE, "QUOTA_EXCEEDED", 90),
        ("RESOURCE_EXHAUSTED", OutcomeClass.THROTTLE, "RESOURCE_EXHAUSTED", 60),
        ("INTERNAL", OutcomeClass.RETRY, "INTERNAL", 10),
        ("UNAVAILABLE", OutcomeClass.RETRY, "UNAVAILABLE", 30),
        ("GATEWAY", OutcomeClass.RETRY, "http_502", 10),
    ],
)
def test_what_an_answer_means(
    peer: FCM, backend: FCMBackend, answer: str, kind: OutcomeClass, code: str, wait: float | None
) -> None:
    peer.script = lambda message: ANSWERS[answer]
    outcome = backend.push(MESSAGE, target())
    assert (outcome.kind, outcome.code, outcome.retry_after) == (kind, code, wait)
    assert "secret" not in repr(outcome)


def test_every_answer_has_its_test() -> None:
    marks = test_what_an_answer_means.pytestmark  # type: ignore[attr-defined]
    assert {row[0] for row in marks[0].args[1]} == ANSWERS.keys()


#: What FCM wraps into INVALID_ARGUMENT and its like, and what becomes of the address.
APNS_ERRORS = [
    (400, "DeviceTokenNotForTopic", OutcomeClass.FAIL),
    (400, "BadTopic", OutcomeClass.CONFIG),
    (413, "PayloadTooLarge", OutcomeClass.FAIL),
    (400, "BadPriority", OutcomeClass.FAIL),
    (400, "BadCollapseId", OutcomeClass.FAIL),
    (400, "BadExpirationDate", OutcomeClass.FAIL),
    (400, "PayloadEmpty", OutcomeClass.FAIL),
    (400, "BadDeviceToken", OutcomeClass.DROP),
    (410, "Unregistered", OutcomeClass.DROP),
    (403, "InvalidProviderToken", OutcomeClass.CONFIG),
    (429, "TooManyRequests", OutcomeClass.THROTTLE),
    (503, "ServiceUnavailable", OutcomeClass.RECONNECT),
]


@pytest.mark.parametrize(("status", "reason", "kind"), APNS_ERRORS, ids=[r[1] for r in APNS_ERRORS])
@pytest.mark.parametrize(
    ("answer", "name", "code"),
    [
        (400, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        (401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR"),
        (404, "NOT_FOUND", "UNREGISTERED"),
    ],
)
def test_what_apns_said_decides(
    peer: FCM,
    backend: FCMBackend,
    answer: int,
    name: str,
    code: str,
    status: int,
    reason: str,
    kind: OutcomeClass,
) -> None:
    peer.script = lambda message: error(answer, name, code=code, apns=(status, reason))
    outcome = backend.push(MESSAGE, target())
    assert (outcome.kind, outcome.code) == (kind, reason)
    assert reason in outcome.detail
    assert peer.token_calls == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, OutcomeClass.FAIL),
        (410, OutcomeClass.DROP),
        (429, OutcomeClass.THROTTLE),
        (502, OutcomeClass.RECONNECT),
        ("410", OutcomeClass.FAIL),
        (None, OutcomeClass.FAIL),
    ],
)
def test_a_reason_of_apns_that_is_new(
    peer: FCM, backend: FCMBackend, status: Any, kind: OutcomeClass
) -> None:
    peer.script = lambda message: error(
        *(400, "INVALID_ARGUMENT"), code="INVALID_ARGUMENT", apns=(status, "alice-at-home")
    )
    outcome = backend.push(MESSAGE, target())
    assert outcome.kind is kind
    assert "alice" not in repr(outcome)


@pytest.mark.parametrize("name", ["apns-topic", "Apns-Topic"])
def test_a_topic_that_a_message_brings_is_its_own_fault(
    peer: FCM, backend: FCMBackend, name: str
) -> None:
    peer.script = lambda message: error(
        *(400, "INVALID_ARGUMENT"), code="INVALID_ARGUMENT", apns=(400, "TopicDisallowed")
    )
    override = {"apns": {"headers": {name: "com.example.app.nope"}}}
    outcome = backend.push(replace(MESSAGE, options={"fcm": override}), target())
    assert (outcome.kind, outcome.code) == (OutcomeClass.FAIL, "TopicDisallowed")
    assert backend.push(MESSAGE, target()).kind is OutcomeClass.CONFIG


def test_a_field_at_fault_is_named_but_no_key_of_the_data(peer: FCM, backend: FCMBackend) -> None:
    peer.script = lambda message: ANSWERS["INVALID_FIELD"]
    assert "message.android.ttl" in backend.push(MESSAGE, target()).detail
    peer.script = lambda message: ANSWERS["INVALID_DATA"]
    assert backend.push(MESSAGE, target()).detail.endswith("message.data")


def test_a_connection_that_is_lost(peer: FCM, backend: FCMBackend) -> None:
    peer.script = lambda message: RESET
    outcome = backend.push(MESSAGE, target())
    assert (outcome.kind, outcome.code, outcome.unknown) == (
        *(OutcomeClass.RECONNECT, "connection_lost"),
        True,
    )


def test_no_answer_in_time(peer: FCM, backend: FCMBackend) -> None:
    assert backend.push(MESSAGE, target()).kind is OutcomeClass.OK
    peer.script = lambda message: Reply(late=5)
    backend.timeout = 0.2
    outcome = backend.push(MESSAGE, target())
    assert (outcome.kind, outcome.code) == (OutcomeClass.RETRY, "timeout")


def test_validate_only(peer: FCM, certificate: tuple[ssl.SSLContext, str]) -> None:
    backend = make(peer, certificate[1], validate_only=True)
    assert backend.push(MESSAGE, target()).kind is OutcomeClass.OK
    assert (peer.validated, peer.messages) == (1, [])
    backend.close()


def test_a_payload_above_the_limit_says_its_size(backend: FCMBackend, peer: FCM) -> None:
    message = replace(MESSAGE, body="x" * 4_000, data={})
    (error,) = backend.validate(replace(message, body="x" * 4_096))
    assert error.pointer == "/body"
    assert "bytes" in error.detail
    assert backend.validate(message) == []
    outcome = backend.push(message, target("topic:news"))
    assert (outcome.kind, outcome.code) == (OutcomeClass.FAIL, "payload_too_large")
    assert "2048" in outcome.detail
    assert peer.messages == []


@pytest.mark.parametrize(
    "name",
    ["from", "google.a", "googled", "gcm.notification.x", "gcm", "gcm_id", "message_type"],
)
def test_names_that_fcm_keeps_for_itself(backend: FCMBackend, name: str) -> None:
    (problem,) = backend.validate(replace(MESSAGE, data={name: "1"}))
    assert (problem.pointer, problem.code) == (f"/data/{name}", "reserved")
    for path in ("data", "android/data", "webpush/data"):
        override: dict[str, Any] = {name: "1"}
        for member in reversed(path.split("/")):
            override = {member: override}
        (problem,) = backend.validate(replace(MESSAGE, options={"fcm": override}))
        assert problem.pointer == f"/options/fcm/{path}/{name}"


@pytest.mark.parametrize("name", ["from_whom", "a.google", "message_types", "Grüße", ""])
def test_names_that_fcm_leaves_to_us(backend: FCMBackend, name: str) -> None:
    assert backend.validate(replace(MESSAGE, data={name: "1"})) == []


def test_a_thousand_greenlets_at_expiry_cause_one_refresh(peer: FCM, backend: FCMBackend) -> None:
    peer.lifetime = 1
    assert backend.push(MESSAGE, target()).kind is OutcomeClass.OK
    deadline = time.monotonic() + 1.1
    gevent.sleep(deadline - time.monotonic())
    peer.lifetime = 3_600
    pool = gevent.pool.Pool(1_000)
    outcomes = pool.map(lambda _: backend.push(MESSAGE, target()), range(1_000))
    assert {outcome.kind for outcome in outcomes} == {OutcomeClass.OK}
    assert peer.token_calls == 2
    assert len(peer.messages) == 1_001


def test_a_token_that_is_refused_is_renewed_once(peer: FCM, backend: FCMBackend) -> None:
    backend.push(MESSAGE, target())
    peer.tokens.clear()
    peer.tokens["other"] = 0.0
    assert backend.push(MESSAGE, target()).kind is OutcomeClass.OK
    assert peer.token_calls == 2
    peer.script = lambda message: ANSWERS["UNAUTHENTICATED"]
    pool = gevent.pool.Pool(100)
    outcomes = pool.map(lambda _: backend.push(MESSAGE, target()), range(100))
    assert {outcome.kind for outcome in outcomes} == {OutcomeClass.CONFIG}
    assert peer.token_calls == 2


@pytest.mark.parametrize("days", [3, -3])
def test_a_clock_that_is_set_meanwhile_neither_ends_a_token_nor_lets_it_live_on(
    peer: FCM, backend: FCMBackend, monkeypatch: pytest.MonkeyPatch, days: float
) -> None:
    class Clock:
        monotonic = staticmethod(time.monotonic)

        def time(self) -> float:
            return time.time() + days * 86_400

    monkeypatch.setattr(fcm_account, "time", Clock())
    for _ in range(3):
        assert backend.push(MESSAGE, target()).kind is OutcomeClass.OK
    assert peer.token_calls == 1
    assert backend.token._token is not None
    assert 3_000 < backend.token._token.ends_at - time.monotonic() <= 3_600


@pytest.mark.parametrize(
    ("answer", "kind", "code", "calls"),
    [
        (Reply(400, b'{"error": "invalid_grant"}'), OutcomeClass.CONFIG, "bad_credentials", 1),
        # One connection that is lost costs no push an attempt.
        (RESET, OutcomeClass.RETRY, "no_token", 2),
    ],
)
def test_a_refresh_that_fails_resumes_by_itself(
    peer: FCM, backend: FCMBackend, answer: Reply, kind: OutcomeClass, code: str, calls: int
) -> None:
    peer.refuse = answer
    backend.token._rest = 0.2
    pool = gevent.pool.Pool(100)
    outcomes = pool.map(lambda _: backend.push(MESSAGE, target()), range(100))
    assert {(outcome.kind, outcome.code) for outcome in outcomes} == {(kind, code)}
    assert peer.token_calls == calls
    assert peer.calls == 0
    peer.refuse = None
    gevent.sleep(0.3)
    assert backend.push(MESSAGE, target()).kind is OutcomeClass.OK


def test_credentials_from_a_file(
    peer: FCM, certificate: tuple[ssl.SSLContext, str], tmp_path: Path
) -> None:
    path = tmp_path / "credentials.json"
    path.write_text(json.dumps(peer.credentials()), "utf-8")
    backend = make(peer, certificate[1], credentials=str(path))
    assert backend.push(MESSAGE, target()).kind is OutcomeClass.OK
    backend.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"credentials": "/no/such/file"},
        {"credentials": {}},
        {"credentials": {"private_key": "secret"}},
        {"project": "not a project"},
        {"ttl": -1},
        {"timeout": 0},
        {"answers": {"404": "gone"}},
    ],
)
def test_wrong_options_are_refused(
    peer: FCM, certificate: tuple[ssl.SSLContext, str], wrong: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))) as raised:
        make(peer, certificate[1], **wrong)
    assert "secret" not in str(raised.value)


def test_nothing_is_lost_among_errors_and_resets(peer: FCM, backend: FCMBackend) -> None:
    """The small form of ``python -m benchmarks.soak``."""
    chance = random.Random(7)
    backend.token.get()
    served: dict[str, str] = {}

    def script(message: dict[str, Any]) -> Reply | None:
        if chance.random() >= 0.1:
            return None
        name = chance.choice([*ANSWERS, "RESET"])
        served[message["data"]["n"]] = name
        return RESET if name == "RESET" else ANSWERS[name]

    peer.script = script
    messages = [
        replace(MESSAGE, data={"n": n}, expires_at=datetime.now(UTC) + timedelta(hours=1))
        for n in range(500)
    ]
    pool = gevent.pool.Pool(50)
    kinds = Counter(
        o.kind for o in pool.imap_unordered(lambda m: backend.push(m, target()), messages)
    )
    taken = [message["data"]["n"] for message in peer.messages]
    assert len(taken) == len(set(taken)) == kinds[OutcomeClass.OK]
    assert kinds.total() == 500
    assert {message["notification"]["body"] for message in peer.messages} == {"secret body"}


@pytest.mark.parametrize("answer", [one for one in SLOPPY if one.startswith(b"200")])
def test_a_status_stands_whatever_follows_it(
    peer: FCM, certificate: tuple[ssl.SSLContext, str], answer: bytes
) -> None:
    with provider(tls=certificate[0]) as api:
        backend = make(peer, certificate[1], url=api.url.removesuffix("/messages"))
        api.script(raw(b"HTTP/1.1 " + answer))
        assert [backend.push(MESSAGE, target()).kind for _ in range(2)] == [OutcomeClass.OK] * 2
        assert len(api.requests) == 2
        backend.close()
