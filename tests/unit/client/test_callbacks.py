"""Callbacks verified by the client, against signatures of the independent package."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from django_pushjobs.client import InvalidCallback, verify_callback

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
OTHER = "whsec_" + base64.b64encode(b"o" * 32).decode()
NOW = datetime(2030, 1, 31, 12, tzinfo=UTC)
BODY = json.dumps(
    {"type": "push.request.completed", "timestamp": "2030-01-31T12:00:00Z", "data": {"id": "1"}}
).encode()


def headers(secret: str = SECRET, body: bytes = BODY) -> dict[str, str]:
    return {
        "Webhook-Id": "evt-1",
        "Webhook-Timestamp": str(int(NOW.timestamp())),
        "Webhook-Signature": Webhook(secret).sign("evt-1", NOW, body.decode()),
    }


def verify(given: dict[str, str], body: bytes = BODY, **kwargs: object) -> object:
    arguments: dict[str, object] = {"secret": SECRET, "now": NOW.timestamp(), **kwargs}
    return verify_callback(body, given, **arguments)  # type: ignore[arg-type]


def test_a_genuine_one() -> None:
    callback = verify_callback(BODY, headers(), SECRET, now=NOW.timestamp())
    assert (callback.id, callback.type) == ("evt-1", "push.request.completed")
    assert (callback.data, callback.sent_at) == ({"id": "1"}, NOW)


def test_while_a_secret_is_changed() -> None:
    both = headers() | {
        "Webhook-Signature": " ".join(headers(s)["Webhook-Signature"] for s in (OTHER, SECRET))
    }
    assert verify(both)
    assert verify(headers(OTHER), secret=[SECRET, OTHER])


@pytest.mark.parametrize(
    ("change", "body"),
    [
        ({}, BODY + b" "),
        ({"Webhook-Id": "evt-2"}, BODY),
        ({"Webhook-Timestamp": "1"}, BODY),
        ({"Webhook-Timestamp": "soon"}, BODY),
        ({"Webhook-Timestamp": "9" * 400}, BODY),
        ({"Webhook-Signature": ""}, BODY),
        ({"Webhook-Signature": "v1,"}, BODY),
        ({"Webhook-Signature": "v1,ü"}, BODY),
        ({"Webhook-Signature": headers(OTHER)["Webhook-Signature"]}, BODY),
        ({"Webhook-Signature": headers()["Webhook-Signature"].replace("v1,", "v2,")}, BODY),
    ],
)
def test_one_that_is_not(change: dict[str, str], body: bytes) -> None:
    with pytest.raises(InvalidCallback):
        verify(headers() | change, body)


@pytest.mark.parametrize("missing", ["Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"])
def test_a_header_is_missing(missing: str) -> None:
    given = headers()
    del given[missing]
    with pytest.raises(InvalidCallback, match=missing.lower()):
        verify(given)


@pytest.mark.parametrize("seconds", [-301, 301])
def test_one_of_another_time(seconds: int) -> None:
    with pytest.raises(InvalidCallback):
        verify(headers(), now=NOW.timestamp() + seconds)


def test_a_body_that_is_no_callback() -> None:
    with pytest.raises(InvalidCallback):
        verify(headers(body=b"[]"), b"[]")


def test_a_secret_that_is_none() -> None:
    with pytest.raises(ValueError, match="base64"):
        verify(headers(), secret="whsec_?")


@pytest.mark.parametrize("empty", ["", "whsec_", "whsec_AAAA", [""], [SECRET, ""]])
def test_an_empty_secret_lets_nobody_sign(empty: str | list[str]) -> None:
    """As from a setting that is not set: the attacker signs with the empty key."""
    stamp = str(int(NOW.timestamp()))
    signed = b".".join([b"evt-1", stamp.encode(), BODY])
    signature = base64.b64encode(hmac.digest(b"", signed, "sha256")).decode()
    forged = headers() | {"Webhook-Signature": f"v1,{signature}"}
    for given in (forged, headers(), {}):
        with pytest.raises(ValueError, match="secret"):
            verify(given, secret=empty)
