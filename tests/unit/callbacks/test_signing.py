"""Signatures, verified by the package that the specification's authors publish."""

from __future__ import annotations

import base64
import json
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from django_pushjobs.callbacks import signing

BODY = json.dumps({"type": "push.request.completed", "data": {"reference": "Grüße"}}).encode()


def headers(*secrets: str, timestamp: int | None = None) -> dict[str, str]:
    at = int(time.time()) if timestamp is None else timestamp
    return signing.headers(secrets, message_id="msg_1", timestamp=at, body=BODY)


def test_a_secret_is_a_prefix_and_24_to_64_random_bytes() -> None:
    first, second = signing.new_secret(), signing.new_secret()
    assert first != second
    assert first.startswith("whsec_")
    assert 24 <= len(base64.b64decode(first.removeprefix("whsec_"), validate=True)) <= 64


def test_the_independent_package_verifies_what_we_sign() -> None:
    secret = signing.new_secret()
    assert Webhook(secret).verify(BODY, headers(secret)) == json.loads(BODY)


def test_during_a_rotation_either_secret_verifies() -> None:
    new, old, other = (signing.new_secret() for _ in range(3))
    signed = headers(new, old)
    assert len(signed["webhook-signature"].split(" ")) == 2
    for secret in (new, old):
        Webhook(secret).verify(BODY, signed)
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(BODY, signed)


@pytest.mark.parametrize("changed", ["body", "id", "timestamp", "age"])
def test_anything_else_does_not_verify(changed: str) -> None:
    secret = signing.new_secret()
    signed = headers(secret, timestamp=int(time.time()) - (3_600 if changed == "age" else 0))
    body = BODY + b" " if changed == "body" else BODY
    if changed == "id":
        signed["webhook-id"] = "msg_2"
    if changed == "timestamp":
        signed["webhook-timestamp"] = str(int(signed["webhook-timestamp"]) + 1)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, signed)


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "whsec_###", "whsec_" + base64.b64encode(b"x" * 23).decode(), "whsec_é"],
)
def test_what_is_no_secret_does_not_sign(secret: str) -> None:
    with pytest.raises(ValueError, match="24 to 64"):
        headers(secret)
