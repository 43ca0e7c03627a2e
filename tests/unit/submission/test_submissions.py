from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import override_settings

from django_pushjobs.conf import Conf
from django_pushjobs.exceptions import InvalidPushRequest
from django_pushjobs.models import PushRequest
from django_pushjobs.recipients import BaseResolver
from django_pushjobs.submission.submissions import (
    MAX_BODY,
    MAX_COLLAPSE_KEY,
    MAX_DEPTH,
    MAX_JSON,
    MAX_REFERENCE,
    MAX_REQUEST_ID,
    MAX_TITLE,
    MAX_TRACEPARENT,
    Submission,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def nested(levels: int) -> Any:
    value: Any = {}
    for _ in range(levels - 1):
        value = {"x": value}
    return value


RIGHT = Submission(
    recipients=["token", {"address": "other"}],
    title="Grüße 🚀",
    body="two\n\tlines\r\n",
    data={"order": 17, "text": "a \\u0000 that is none", "list": [None, True, 1.5]},
    options={"sound": "bell"},
    backend="locmem",
    priority="high",
    send_at=NOW + timedelta(minutes=1),
    expires_at=LATER,
    collapse_key="order-17",
    reference="ref 17",
    request_id="req-17",
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
)


def errors_of(**changes: Any) -> list[tuple[str, str]]:
    try:
        replace(RIGHT, **changes).check(NOW)
    except InvalidPushRequest as invalid:
        return [(error.pointer, error.code) for error in invalid.errors]
    return []


def test_what_is_right_is_right() -> None:
    assert errors_of() == []
    Submission(recipients=["token"]).check()


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "x" * MAX_TITLE},
        {"body": "x" * MAX_BODY},
        {"collapse_key": "x" * MAX_COLLAPSE_KEY},
        {"reference": "x" * MAX_REFERENCE},
        {"request_id": "x" * MAX_REQUEST_ID},
        {"traceparent": "x" * MAX_TRACEPARENT},
        {"data": nested(MAX_DEPTH)},
        {"data": {"x": "y" * (MAX_JSON - 10)}},
        {"recipients": ("token",)},
        {"recipients": ["x"] * Conf().MAX_RECIPIENTS},
        {"backend": None},
        {"backend": ""},
        {"send_at": None, "expires_at": None},
    ],
)
def test_the_limits_are_allowed(changes: dict[str, Any]) -> None:
    assert errors_of(**changes) == []


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"recipients": []}, ("/recipients", "empty")),
        ({"recipients": "token"}, ("/recipients", "invalid_type")),
        ({"recipients": {"address": "token"}}, ("/recipients", "invalid_type")),
        ({"recipients": None}, ("/recipients", "invalid_type")),
        ({"recipients": ["x"] * 1_001}, ("/recipients", "too_many")),
        ({"recipients": ["x", ""]}, ("/recipients/1", "invalid_recipient")),
        ({"recipients": ["x", {"user": 1}]}, ("/recipients/1", "invalid_recipient")),
        ({"title": "x" * (MAX_TITLE + 1)}, ("/title", "too_long")),
        ({"title": None}, ("/title", "invalid_type")),
        ({"title": "a\x00b"}, ("/title", "control_characters")),
        ({"title": "a\x1bb"}, ("/title", "control_characters")),
        ({"title": "a\ud800b"}, ("/title", "invalid_unicode")),
        ({"body": "x" * (MAX_BODY + 1)}, ("/body", "too_long")),
        ({"body": b"x"}, ("/body", "invalid_type")),
        ({"collapse_key": "x" * 65}, ("/collapse_key", "too_long")),
        ({"collapse_key": "a\nb"}, ("/collapse_key", "control_characters")),
        ({"reference": "x" * 256}, ("/reference", "too_long")),
        ({"reference": "a\nb"}, ("/reference", "control_characters")),
        ({"reference": 5}, ("/reference", "invalid_type")),
        ({"request_id": "x" * 129}, ("/request_id", "too_long")),
        ({"request_id": "a\r\nb"}, ("/request_id", "control_characters")),
        ({"traceparent": "x" * 65}, ("/traceparent", "too_long")),
        ({"traceparent": "a\r\nb"}, ("/traceparent", "control_characters")),
        ({"priority": "urgent"}, ("/priority", "invalid_choice")),
        ({"priority": None}, ("/priority", "invalid_choice")),
        ({"priority": ["high"]}, ("/priority", "invalid_choice")),
        ({"data": None}, ("/data", "invalid_type")),
        ({"data": [1]}, ("/data", "invalid_type")),
        ({"data": {"x": object()}}, ("/data", "invalid_json")),
        ({"data": {"x": float("nan")}}, ("/data", "invalid_json")),
        ({"data": {"x": float("inf")}}, ("/data", "invalid_json")),
        ({"data": {"x": 10**5_000}}, ("/data", "invalid_json")),
        ({"data": {"x": "\ud800"}}, ("/data", "invalid_unicode")),
        ({"data": {"\x00": 1}}, ("/data", "control_characters")),
        ({"data": {"x": ["\\\x00"]}}, ("/data", "control_characters")),
        ({"data": {"x": "y" * MAX_JSON}}, ("/data", "too_long")),
        ({"data": nested(MAX_DEPTH + 1)}, ("/data", "too_deep")),
        ({"data": nested(100_000)}, ("/data", "too_deep")),
        ({"options": {"x": {1, 2}}}, ("/options", "invalid_json")),
        ({"backend": "nowhere"}, ("/backend", "unknown_backend")),
        ({"backend": ["locmem"]}, ("/backend", "unknown_backend")),
        ({"send_at": NOW}, ("/send_at", "past")),
        ({"send_at": NOW - timedelta(days=1)}, ("/send_at", "past")),
        ({"send_at": datetime(2026, 1, 2)}, ("/send_at", "naive")),  # noqa: DTZ001
        ({"send_at": None, "expires_at": NOW}, ("/expires_at", "past")),
        ({"expires_at": datetime(2026, 1, 2)}, ("/expires_at", "naive")),  # noqa: DTZ001
        ({"send_at": LATER}, ("/expires_at", "before_send_at")),
    ],
)
def test_a_mistake_names_its_field(changes: dict[str, Any], error: tuple[str, str]) -> None:
    assert errors_of(**changes) == [error]


def test_every_field_at_fault_is_named_in_one_go() -> None:
    found = errors_of(recipients=[], title=1, data=2, backend="nowhere", priority="x")
    assert {pointer for pointer, _ in found} == {
        *["/recipients", "/title", "/data", "/backend", "/priority"]
    }


def limited(max_payload: int) -> Any:
    entry = {
        "BACKEND": "django_pushjobs.backends.locmem.LocMemBackend",
        "OPTIONS": {"max_payload": max_payload},
    }
    return override_settings(PUSHJOBS={"BACKENDS": {"locmem": entry}})


def test_the_limit_of_the_backend_is_kept() -> None:
    with limited(100):
        assert errors_of(title="", body="", data={}) == []
        assert errors_of(title="", body="ä" * 50, data={}) == [("/body", "too_long")]
        assert errors_of(title="", body="", data={"x": "y" * 100}) == [("/data", "too_long")]


@pytest.mark.parametrize("field", ["title", "body"])
@pytest.mark.parametrize("value", ["\ud800", object()])
def test_a_backend_is_not_asked_about_what_is_no_message(field: str, value: Any) -> None:
    with limited(100):
        assert [pointer for pointer, _ in errors_of(**{field: value})] == [f"/{field}"]


class AnyResolver(BaseResolver):
    """Takes whatever it is given."""


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("a\x00b", "control_characters"),
        (nested(MAX_DEPTH), "too_deep"),
        ("x" * MAX_JSON, "too_long"),
        (float("nan"), "invalid_json"),
    ],
)
def test_a_recipient_can_be_stored_whatever_its_resolver_says(value: Any, code: str) -> None:
    resolvers = {"any": {"RESOLVER": f"{__name__}.AnyResolver"}}
    with override_settings(PUSHJOBS={"RESOLVERS": resolvers}):
        found = errors_of(recipients=[{"any": 1}, {"any": value}], backend="default")
    assert found == [("/recipients/1", code)]


def test_the_message_is_what_was_submitted() -> None:
    key = uuid.uuid4()
    message = RIGHT.message(key)
    assert message.request_id == key
    for name in ("title", "body", "data", "options", "priority", "collapse_key", "expires_at"):
        assert getattr(message, name) == getattr(RIGHT, name)
    assert message.traceparent == RIGHT.traceparent


def test_limits_are_those_of_the_columns() -> None:
    limits = {
        "collapse_key": MAX_COLLAPSE_KEY,
        "reference": MAX_REFERENCE,
        "request_id": MAX_REQUEST_ID,
        "traceparent": MAX_TRACEPARENT,
    }
    for name, limit in limits.items():
        assert PushRequest._meta.get_field(name).max_length == limit
