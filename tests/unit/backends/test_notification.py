"""What the members of ``options`` are read as, and which of them are refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from django_pushjobs.backends import Message
from django_pushjobs.backends.notification import errors, merged, read, too_large

OPTIONS = {
    "image": "https://example.org/a.png",
    "badge": 0,
    "sound": "ping",
    "click_action": "https://example.org/orders/17",
    "apns": {"headers": {"apns-push-type": "alert"}},
    "fcm": {"android": {"ttl": "10s"}},
    "webpush": {"payload": {"a": 1}},
}


def message(**fields: Any) -> Message:
    return Message(request_id=uuid4(), **fields)


def test_every_member_is_read() -> None:
    assert list(errors(OPTIONS)) == []
    notification = read(message(options=OPTIONS), "fcm")
    assert notification.image == "https://example.org/a.png"
    assert notification.badge == 0
    assert notification.sound == "ping"
    assert notification.click_action == "https://example.org/orders/17"
    assert notification.override == {"android": {"ttl": "10s"}}
    assert read(message(options=OPTIONS), "apns").override == OPTIONS["apns"]


def test_nothing_is_made_up() -> None:
    notification = read(message(options={"image": None}), "apns")
    assert (notification.image, notification.badge, notification.sound) == ("", None, "")
    assert notification.override == {}
    assert notification.is_silent
    assert not read(message(body="x"), "apns").is_silent


@pytest.mark.parametrize(
    ("options", "pointer", "code"),
    [
        ({"image": 1}, "/options/image", "invalid_type"),
        ({"image": "http://example.org/a.png"}, "/options/image", "invalid_url"),
        ({"image": "https://[1"}, "/options/image", "invalid_url"),
        ({"badge": "1"}, "/options/badge", "invalid_type"),
        ({"badge": True}, "/options/badge", "invalid_type"),
        ({"badge": -1}, "/options/badge", "out_of_range"),
        ({"sound": "a\nb"}, "/options/sound", "control_characters"),
        ({"click_action": "x" * 2_049}, "/options/click_action", "too_long"),
        ({"fcm": []}, "/options/fcm", "invalid_type"),
        ({"soudn": "ping"}, "/options/soudn", "unknown_field"),
        ({"a/b~c": 1}, "/options/a~1b~0c", "unknown_field"),
    ],
)
def test_what_is_wrong_is_named_by_its_pointer(
    options: dict[str, Any], pointer: str, code: str
) -> None:
    (error,) = errors(options)
    assert (error.pointer, error.code) == (pointer, code)
    read(message(options=options), "fcm")


def test_a_ttl_ends_when_the_message_does() -> None:
    def ttl(expires_at: datetime | None) -> int:
        return read(message(expires_at=expires_at), "fcm").ttl(default=600, cap=1_000)

    now = datetime.now(UTC)
    assert ttl(None) == 600
    assert ttl(now - timedelta(seconds=5)) == 0
    assert 90 <= ttl(now + timedelta(seconds=100)) <= 100
    assert ttl(now + timedelta(days=30)) == 1_000


def test_an_override_is_laid_over_member_by_member() -> None:
    base = {"a": {"b": 1, "c": 2}, "d": [1]}
    assert merged(base, {"a": {"c": 3, "e": 4}, "d": None}) == {"a": {"b": 1, "c": 3, "e": 4}}
    assert base == {"a": {"b": 1, "c": 2}, "d": [1]}


def test_a_payload_that_is_too_large_says_how_large() -> None:
    error = too_large(message(title="t", data={"k": "x" * 100}), 5_000, 4_096, "phones")
    assert (error.pointer, error.code) == ("/data", "too_long")
    assert error.detail == "the payload has 5000 bytes, but backend 'phones' accepts at most 4096"
