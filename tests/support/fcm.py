"""FCM's HTTP v1 API with the authorization server that issues its tokens.

By hand: ``python -m tests.support.fcm DIRECTORY`` writes ``ca.pem`` and ``credentials.json`` there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from .peers import Reply, Request, as_json, running, serve

PROJECT = "demo-project"
#: Either is accepted.
SCOPES = {
    "https://www.googleapis.com/auth/firebase.messaging",
    "https://www.googleapis.com/auth/cloud-platform",
}
#: What google-auth sends and the real server requires, whatever the URL of the server is.
AUDIENCE = "https://oauth2.googleapis.com/token"
EMAIL = f"push@{PROJECT}.iam.gserviceaccount.com"
_FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
_APNS_ERROR = "type.googleapis.com/google.firebase.fcm.v1.ApnsError"
_BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
_MEMBERS = {
    *("token", "topic", "condition", "notification", "data", "android", "apns", "webpush"),
    *("fcm_options", "name"),
}


def error(
    status: int,
    name: str,
    *,
    code: str = "",
    fields: tuple[str, ...] = (),
    apns: tuple[int, str] | None = None,
    **headers: str,
) -> Reply:
    details: list[dict[str, Any]] = []
    if code:
        details.append({"@type": _FCM_ERROR, "errorCode": code})
    if apns is not None:
        details.append({"@type": _APNS_ERROR, "statusCode": apns[0], "reason": apns[1]})
    if fields:
        violations = [{"field": one, "description": "Invalid value"} for one in fields]
        details.append({"@type": _BAD_REQUEST, "fieldViolations": violations})
    told = {"code": status, "message": "whatever", "status": name, "details": details}
    return as_json(status, {"error": told}, **headers)


#: An answer for every row of the table, by name.
ANSWERS: dict[str, Reply] = {
    "UNREGISTERED": error(404, "NOT_FOUND", code="UNREGISTERED"),
    "INVALID_TOKEN": error(400, "INVALID_ARGUMENT", code="INVALID_ARGUMENT"),
    "INVALID_TOKEN_FIELD": error(400, "INVALID_ARGUMENT", fields=("message.token",)),
    "INVALID_FIELD": error(400, "INVALID_ARGUMENT", fields=("message.android.ttl",)),
    "INVALID_DATA": error(
        *(400, "INVALID_ARGUMENT"), code="INVALID_ARGUMENT", fields=("message.data[0].value",)
    ),
    "SENDER_ID_MISMATCH": error(403, "PERMISSION_DENIED", code="SENDER_ID_MISMATCH"),
    "PERMISSION_DENIED": error(403, "PERMISSION_DENIED"),
    "UNAUTHENTICATED": error(401, "UNAUTHENTICATED"),
    "THIRD_PARTY_AUTH_ERROR": error(401, "UNAUTHENTICATED", code="THIRD_PARTY_AUTH_ERROR"),
    "QUOTA_EXCEEDED": error(429, "RESOURCE_EXHAUSTED", code="QUOTA_EXCEEDED"),
    "QUOTA_EXCEEDED_WAIT": error(
        429, "RESOURCE_EXHAUSTED", code="QUOTA_EXCEEDED", Retry_After="90"
    ),
    "RESOURCE_EXHAUSTED": error(429, "RESOURCE_EXHAUSTED"),
    "INTERNAL": error(500, "INTERNAL", code="INTERNAL"),
    "UNAVAILABLE": error(503, "UNAVAILABLE", code="UNAVAILABLE", Retry_After="30"),
    "GATEWAY": Reply(502, b"<html>"),
}


@dataclass
class FCM:
    """The state of the server.

    :param script: called with each valid message; what it returns is the answer.
    """

    script: Callable[[dict[str, Any]], Reply | None] = lambda message: None
    lifetime: float = 3_600
    refuse: Reply | None = None
    messages: list[dict[str, Any]] = field(default_factory=list)
    validated: int = 0
    token_calls: int = 0
    calls: int = 0
    tokens: dict[str, float] = field(default_factory=dict)
    port: int = 0

    def __post_init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def credentials(self) -> dict[str, str]:
        pem = self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "key-1",
            "private_key": pem.decode(),
            "client_email": EMAIL,
            "token_uri": f"{self.url}/token",
        }

    def __call__(self, request: Request) -> Reply:
        if request.path == "/token":
            return self.give_token(request)
        self.calls += 1
        if request.path != f"/v1/projects/{PROJECT}/messages:send" or request.method != "POST":
            return error(404, "NOT_FOUND")
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.tokens.get(token, 0) < time.monotonic():
            return ANSWERS["UNAUTHENTICATED"]
        told = request.json
        message = told["message"]
        if wrong := violations(message):
            return error(400, "INVALID_ARGUMENT", fields=tuple(wrong))
        if reply := self.script(message):
            return reply
        if told.get("validate_only"):
            self.validated += 1
            return as_json(200, {"name": f"projects/{PROJECT}/messages/fake_message_id"})
        self.messages.append(message)
        return as_json(200, {"name": f"projects/{PROJECT}/messages/0:{len(self.messages)}"})

    def give_token(self, request: Request) -> Reply:
        self.token_calls += 1
        if self.refuse is not None:
            return self.refuse
        form = parse_qs(request.body.decode())
        try:
            assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
            claims = jwt.decode(
                form["assertion"][0],
                self.key.public_key(),
                algorithms=["RS256"],
                audience=AUDIENCE,
                issuer=EMAIL,
                options={"require": ["exp", "iat"]},
                leeway=5,
            )
            assert SCOPES & set(claims["scope"].split())
        except (jwt.InvalidTokenError, AssertionError, KeyError):
            return as_json(400, {"error": "invalid_grant", "error_description": "no"})
        token = f"token-{len(self.tokens)}"
        self.tokens[token] = time.monotonic() + self.lifetime
        return Reply(
            200,
            json.dumps(
                {"access_token": token, "expires_in": self.lifetime, "token_type": "Bearer"}
            ).encode(),
            late=0.05,
        )


def violations(message: dict[str, Any]) -> list[str]:
    """Return the invalid fields by the names that the API uses."""
    wrong = [f"message.{name}" for name in message.keys() - _MEMBERS]
    if sum(name in message for name in ("token", "topic", "condition")) != 1:
        wrong.append("message.token")
    for name, value in message.get("data", {}).items():
        if not isinstance(value, str) or name == "from":
            wrong.append(f"message.data[{name}]")
    android = message.get("android", {})
    if not re.fullmatch(r"\d{1,7}s", android.get("ttl", "0s")):
        wrong.append("message.android.ttl")
    if android.get("priority", "NORMAL") not in {"NORMAL", "HIGH"}:
        wrong.append("message.android.priority")
    for headers in ("apns", "webpush"):
        for name, value in message.get(headers, {}).get("headers", {}).items():
            if not isinstance(value, str):
                wrong.append(f"message.{headers}.headers[{name}]")
    return wrong


def tls(directory: Path, *names: str) -> tuple[ssl.SSLContext, str]:
    """Return a server's context and the file of the authority to trust.

    :param names: further hosts that the server is.
    """
    authority = trustme.CA()
    ca_file = directory / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost", *names).configure_cert(context)
    return context, str(ca_file)


@contextmanager
def fcm(context: ssl.SSLContext, *, latency: float = 0.0) -> Iterator[FCM]:
    peer = FCM()
    with running(peer, tls=context, latency=latency) as peer.port:
        yield peer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    given = parser.parse_args()
    context, _ = tls(given.directory)
    peer = FCM()

    def started(port: int) -> None:
        peer.port = port
        text = json.dumps(peer.credentials())
        (given.directory / "credentials.json").write_text(text, "utf-8")
        print(peer.url, flush=True)

    asyncio.run(serve(peer, started, tls=context, latency=given.latency))


if __name__ == "__main__":
    main()
