"""APNsBackend against an APNs of our own, over the real protocol."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import gevent
import gevent.pool
import pytest

from django_pushjobs.backends import Message, Outcome, OutcomeClass, Target
from django_pushjobs.backends.apns import PRODUCTION, SANDBOX, TOPIC_SUFFIXES, APNsBackend
from tests.support.apns import KEY_ID, TOPIC, Answer, Peer, apns, make_key

OK, RETRY, DROP, FAIL, CONFIG, THROTTLE, RECONNECT = OutcomeClass

MESSAGE = Message(
    request_id=uuid.uuid4(),
    title="Grüße",
    body="secret body",
    data={"order": 17, "nested": {"a": [1]}},
    options={"badge": 3, "sound": "bell.caf", "click_action": "ORDER"},
    priority="high",
    collapse_key="order-17",
    expires_at=datetime(2100, 1, 2, 3, 4, 5, tzinfo=UTC),
)
TOKEN = "0123456789abcdef" * 4


def target(**fields: Any) -> Target:
    return Target(delivery_id=uuid.uuid4(), address=fields.pop("address", TOKEN), **fields)


@pytest.fixture
def peer() -> Iterator[Peer]:
    with apns() as running:
        yield running


@pytest.fixture
def backend(peer: Peer) -> Iterator[APNsBackend]:
    backend = APNsBackend(alias="apns", **peer.options, timeout=20)
    yield backend
    backend.close()


def test_the_request_is_the_documented_one(peer: Peer, backend: APNsBackend) -> None:
    to = target(address=TOKEN.upper())
    outcome = backend.push(MESSAGE, to)
    assert outcome == Outcome(kind=OK, provider_id=str(to.delivery_id))
    (request,) = peer.received
    authorization = request.headers.pop("authorization")
    assert authorization.startswith("bearer ")
    assert request.headers == {
        ":method": "POST",
        ":scheme": "https",
        ":authority": f"localhost:{peer.port}",
        ":path": f"/3/device/{TOKEN}",
        "apns-topic": TOPIC,
        "apns-push-type": "alert",
        "apns-priority": "10",
        "apns-expiration": str(int(datetime(2100, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp())),
        "apns-collapse-id": "order-17",
        "apns-id": str(to.delivery_id),
    }
    assert request.json == {
        "aps": {
            "alert": {"title": "Grüße", "body": "secret body"},
            "badge": 3,
            "sound": "bell.caf",
            "category": "ORDER",
        },
        "order": 17,
        "nested": {"a": [1]},
    }


def test_a_message_with_nothing_to_show_is_pushed_in_the_background(
    peer: Peer, backend: APNsBackend
) -> None:
    to = target()
    message = Message(request_id=uuid.uuid4(), data={"sync": True}, priority="high")
    assert backend.push(message, to).kind is OK
    (request,) = peer.received
    assert request.json == {"aps": {"content-available": 1}, "sync": True}
    assert request.headers["apns-push-type"] == "background"
    assert request.headers["apns-priority"] == "5"
    assert request.headers["apns-collapse-id"] == str(to.delivery_id)
    assert "apns-expiration" not in request.headers


def test_an_image_is_for_the_service_extension(peer: Peer, backend: APNsBackend) -> None:
    message = replace(MESSAGE, options={"image": "https://example.com/a.png"})
    backend.push(message, target())
    (request,) = peer.received
    assert request.json["aps"]["mutable-content"] == 1
    assert request.json["image"] == "https://example.com/a.png"


def test_what_is_passed_through_counts(peer: Peer, backend: APNsBackend) -> None:
    override = {
        "headers": {"apns-priority": 1, "apns-expiration": "0", "apns-collapse-id": "mine"},
        "payload": {"aps": {"thread-id": "t", "alert": {"title-loc-key": "K", "body": None}}},
    }
    message = replace(MESSAGE, options={"apns": override})
    assert backend.validate(message) == []
    assert backend.push(message, target()).kind is OK
    (request,) = peer.received
    assert request.headers["apns-priority"] == "1"
    assert request.headers["apns-expiration"] == "0"
    assert request.headers["apns-collapse-id"] == "mine"
    assert request.json["aps"] == {
        "alert": {"title": "Grüße", "title-loc-key": "K"},
        "thread-id": "t",
    }


@pytest.mark.parametrize("push_type", TOPIC_SUFFIXES)
def test_every_push_type_has_its_topic(peer: Peer, backend: APNsBackend, push_type: str) -> None:
    options = {"apns": {"headers": {"apns-push-type": push_type}}}
    message = replace(MESSAGE, options=options)
    assert backend.validate(message) == []
    assert backend.push(message, target()).kind is OK
    (request,) = peer.received
    assert request.headers["apns-topic"] == TOPIC + TOPIC_SUFFIXES[push_type]


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"body": "x" * 4_096}, "/body"),
        ({"data": {"aps": {}}}, "/data/aps"),
        ({"collapse_key": "ü" * 33}, "/collapse_key"),
        ({"options": {"bagde": 1}}, "/options/bagde"),
        ({"options": {"apns": {"headers": 1}}}, "/options/apns/headers"),
        ({"options": {"apns": {"payload": 1}}}, "/options/apns/payload"),
        ({"options": {"apns": {"payload": {"aps": 1}}}}, "/options/apns/payload/aps"),
        *(
            ({"options": {"apns": {"headers": {name: value}}}}, f"/options/apns/headers/{name}")
            for name, value in {
                "apns-push-type": "banner",
                "apns-priority": 7,
                "apns-expiration": "soon",
                "apns-collapse-id": "a\r\nb",
                "apns-topic": "com.example.other",
                "apns-id": "mine",
                "authorization": "bearer mine",
            }.items()
        ),
    ],
)
def test_what_apns_would_refuse_is_refused_at_once(
    peer: Peer, backend: APNsBackend, fields: dict[str, Any], pointer: str
) -> None:
    message = replace(MESSAGE, **fields)
    assert [error.pointer for error in backend.validate(message)] == [pointer]
    # Accepted by an older version, perhaps: no header that is wrong goes out.
    assert backend.push(message, target()).kind in {OK, FAIL}
    for request in peer.received:
        assert request.headers["apns-topic"] == TOPIC
        assert request.headers["authorization"] != "bearer mine"


@pytest.mark.parametrize(
    "topic",
    [f"{TOPIC}.nope", f"{TOPIC}.", f"{TOPIC}.voip.voip", f"{TOPIC}voip", TOPIC.upper(), ".voip"],
)
def test_a_topic_that_is_not_ours_is_refused_at_once_and_never_sent(
    peer: Peer, backend: APNsBackend, topic: str
) -> None:
    message = replace(MESSAGE, options={"apns": {"headers": {"apns-topic": topic}}})
    (error,) = backend.validate(message)
    assert error.pointer == "/options/apns/headers/apns-topic"
    assert backend.push(message, target()).kind is OK
    assert peer.received[0].headers["apns-topic"] == TOPIC


@pytest.mark.parametrize("suffix", sorted(set(TOPIC_SUFFIXES.values())))
def test_a_topic_with_a_known_suffix_is_ours(peer: Peer, backend: APNsBackend, suffix: str) -> None:
    message = replace(MESSAGE, options={"apns": {"headers": {"apns-topic": TOPIC + suffix}}})
    assert backend.validate(message) == []
    assert backend.push(message, target()).kind is OK
    assert peer.received[0].headers["apns-topic"] == TOPIC + suffix


def test_a_voip_payload_may_be_larger(peer: Peer, backend: APNsBackend) -> None:
    options = {"apns": {"headers": {"apns-push-type": "voip"}}}
    message = replace(MESSAGE, body="x" * 4_800, options=options)
    assert backend.validate(message) == []
    assert backend.push(message, target()).kind is OK
    assert backend.validate(replace(message, body="x" * 5_120))
    (error,) = backend.validate(replace(message, options={}))
    assert "4096" in error.detail


@pytest.mark.parametrize("address", ["", "zz", "../../secret", "abc", f"{TOKEN}\r\n", "ab" * 101])
def test_what_is_no_device_token_is_not_sent(
    peer: Peer, backend: APNsBackend, address: str
) -> None:
    outcome = backend.push(MESSAGE, target(address=address))
    assert (outcome.kind, outcome.code) == (FAIL, "invalid_address")
    assert peer.received == []


#: Each answer that APNs is known to give.
ROWS = [
    (410, "Unregistered", DROP),
    (410, "ExpiredToken", DROP),
    (400, "BadDeviceToken", DROP),
    *((400, reason, CONFIG) for reason in ("BadTopic", "MissingTopic", "TopicDisallowed")),
    *(
        (400, reason, FAIL)
        for reason in (
            *("BadCollapseId", "BadExpirationDate", "BadMessageId", "BadPriority"),
            "DeviceTokenNotForTopic",
            *("InvalidPushType", "PayloadEmpty", "DuplicateHeaders"),
        )
    ),
    (404, "BadPath", FAIL),
    (405, "MethodNotAllowed", FAIL),
    (413, "PayloadTooLarge", FAIL),
    *(
        (403, reason, CONFIG)
        for reason in (
            *("MissingProviderToken", "Forbidden", "BadCertificate", "BadCertificateEnvironment"),
            *("UnrelatedKeyIdInToken", "BadEnvironmentKeyIdInToken"),
        )
    ),
    (429, "TooManyRequests", THROTTLE),
    (429, "TooManyProviderTokenUpdates", RETRY),
    (500, "InternalServerError", RECONNECT),
    (503, "ServiceUnavailable", RECONNECT),
    (503, "Shutdown", RECONNECT),
    (400, "IdleTimeout", RECONNECT),
]


@pytest.mark.parametrize(("status", "reason", "kind"), ROWS, ids=[row[1] for row in ROWS])
def test_what_an_answer_means(
    peer: Peer, backend: APNsBackend, status: int, reason: str, kind: OutcomeClass
) -> None:
    peer.script.append(Answer(status, reason, headers=(("retry-after", "7"),)))
    outcome = backend.push(MESSAGE, target())
    assert (outcome.kind, outcome.code) == (kind, reason)
    assert not outcome.unknown
    waits = kind in {RETRY, THROTTLE, RECONNECT}
    assert outcome.retry_after == (7 if waits else None)
    assert "secret" not in repr(outcome)
    assert TOKEN not in repr(outcome)
    assert len(peer.received) == 1
    assert backend.push(MESSAGE, target()).kind is OK
    assert peer.connections == 1


def test_the_settings_may_say_otherwise(peer: Peer) -> None:
    backend = APNsBackend(alias="a", **peer.options, answers={"400 NewReason": "config"})
    peer.script += [Answer(400, "NewReason"), Answer(400, "OtherReason")]
    assert backend.push(MESSAGE, target()).kind is CONFIG
    assert backend.push(MESSAGE, target()).kind is FAIL
    backend.close()


@pytest.mark.parametrize("reason", ["ExpiredProviderToken", "InvalidProviderToken"])
def test_a_token_that_is_refused_is_renewed_once_and_the_push_made_again(
    peer: Peer, reason: str
) -> None:
    backend = APNsBackend(alias="a", **peer.options)
    peer.script.append(Answer(403, reason))
    to = target()
    assert backend.push(MESSAGE, to).kind is OK
    first, second = peer.received
    assert first.headers["authorization"] != second.headers["authorization"]
    assert first.headers["apns-id"] == second.headers["apns-id"] == str(to.delivery_id)
    peer.script.append(Answer(403, reason))
    outcome = backend.push(MESSAGE, target())
    assert (outcome.kind, outcome.code) == (CONFIG, reason)
    assert len(peer.received) == 3
    backend.close()


def test_many_that_are_told_so_at_once_make_one_new_token(peer: Peer) -> None:
    backend = APNsBackend(alias="a", **peer.options)
    assert backend.push(MESSAGE, target()).kind is OK
    peer.expired |= peer.tokens
    pushes = [gevent.spawn(backend.push, MESSAGE, target()) for _ in range(200)]
    gevent.joinall(pushes, raise_error=True)
    assert {push.value.kind for push in pushes} == {OK}
    assert len(peer.tokens) == 2
    backend.close()


def test_a_dead_address_that_was_registered_since_is_kept(peer: Peer, backend: APNsBackend) -> None:
    dead_at = int(time.time() * 1_000)
    peer.script += [Answer(410, "Unregistered", timestamp=dead_at)] * 3
    then = datetime.fromtimestamp(dead_at / 1_000, UTC)
    assert backend.push(MESSAGE, target()).kind is DROP
    before = target(registered_at=then - timedelta(days=1))
    assert backend.push(MESSAGE, before).kind is DROP
    since = backend.push(MESSAGE, target(registered_at=then + timedelta(seconds=1)))
    assert (since.kind, since.code) == (RETRY, "registered_since")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"\xff", b'{"reason": 1}', b"[" * 50_000])
def test_an_answer_that_is_not_json_still_has_a_status(
    peer: Peer, backend: APNsBackend, body: bytes
) -> None:
    peer.script.append(Answer(503, body=body))
    outcome = backend.push(MESSAGE, target())
    assert (outcome.kind, outcome.code) == (RECONNECT, "http_503")
    assert backend.push(MESSAGE, target()).kind is OK


def test_a_key_that_apns_does_not_know_is_our_fault(peer: Peer) -> None:
    backend = APNsBackend(alias="a", **peer.options | {"key": make_key()})
    outcome = backend.push(MESSAGE, target())
    assert (outcome.kind, outcome.code) == (CONFIG, "InvalidProviderToken")
    backend.close()


def test_a_certificate_that_is_not_trusted_is_our_fault(peer: Peer) -> None:
    backend = APNsBackend(alias="a", **peer.options | {"ca_file": None})
    outcome = backend.push(MESSAGE, target())
    assert (outcome.kind, outcome.code) == (CONFIG, "bad_certificate")
    backend.close()


def test_sandbox_and_production(peer: Peer) -> None:
    options = peer.options | {"host": None}
    assert APNsBackend(alias="a", **options)._apns.dialer.host == PRODUCTION
    assert APNsBackend(alias="a", **options, sandbox=True)._apns.dialer.host == SANDBOX


@pytest.mark.parametrize(
    "options",
    [
        {"key": None},
        {"key": "nonsense"},
        {"key_file": "/nonexistent"},
        {"key": None, "key_file": "/nonexistent"},
        {"key_id": ""},
        {"team_id": 7},
        {"topic": "a b"},
        {"host": "a/b"},
        {"port": 0},
        {"connections": 0},
        {"timeout": True},
        {"ca_file": "/nonexistent"},
        {"answers": {"410": "nonsense"}},
    ],
)
def test_a_wrong_option_is_an_error(peer: Peer, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+") as caught:
        APNsBackend(alias="a", **peer.options | options)
    assert "PRIVATE" not in str(caught.value)


def test_the_key_may_be_in_a_file(peer: Peer, tmp_path: Any) -> None:
    file = tmp_path / f"AuthKey_{KEY_ID}.p8"
    file.write_text(peer.key)
    backend = APNsBackend(alias="a", **peer.options | {"key": None, "key_file": file})
    assert backend.push(MESSAGE, target()).kind is OK
    backend.close()
