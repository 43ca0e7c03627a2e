"""A Web Push service, which verifies VAPID, and its browsers, which decrypt.

By hand: ``python -m tests.support.push_service DIRECTORY`` writes ``ca.pem`` there, and
``subscriptions.json`` with some subscriptions to push to.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import re
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_bytes, token_urlsafe
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .fcm import tls
from .peers import Reply, Request, as_json, running, serve

#: An answer for every row of the table, by name.
ANSWERS: dict[str, Reply] = {
    "200": Reply(200),
    "202": Reply(202),
    "204": Reply(204),
    "404": Reply(404),
    "410": Reply(410),
    "mismatch": as_json(400, {"reason": "VapidPkHashMismatch"}),
    # What Chrome's push service really says, as text/plain.
    "do-not-correspond": Reply(
        403,
        b"the VAPID credentials in the authorization header do not correspond to the credentials "
        b"used to create the subscriptions.\n",
    ),
    # What Mozilla's really says.
    "public-key-mismatch": as_json(
        401,
        {
            "code": 401,
            "errno": 109,
            "error": "Unauthorized",
            "message": "VAPID public key mismatch",
            "more_info": "http://autopush.readthedocs.io/en/latest/http.html#error-codes",
        },
    ),
    "406": Reply(406, headers={"Retry-After": "75"}),
    "errno-112": as_json(400, {"code": 400, "errno": 112, "error": "Bad Request"}),
    "400": Reply(400),
    "401": Reply(401),
    "403": Reply(403),
    "BadJwtToken": as_json(403, {"reason": "BadJwtToken"}),
    "errno-109": as_json(401, {"code": 401, "errno": 109, "error": "Unauthorized"}),
    "errno-110": as_json(400, {"code": 400, "errno": 110, "error": "Bad Request"}),
    "413": Reply(413),
    "errno-104": as_json(413, {"code": 413, "errno": 104, "error": "Payload Too Large"}),
    "429": Reply(429, headers={"Retry-After": "75"}),
    "500": Reply(500),
    "503": Reply(503, headers={"Retry-After": "20"}),
    "errno-201": as_json(503, {"code": 503, "errno": 201, "error": "Service Unavailable"}),
    "errno-202": as_json(503, {"code": 503, "errno": 202, "error": "Service Unavailable"}),
}


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Browser:
    """A browser, with the keys of one subscription."""

    path: str
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    auth: bytes = field(default_factory=lambda: token_bytes(16))

    @property
    def point(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def subscription(self, origin: str) -> str:
        return json.dumps(
            {
                "endpoint": f"{origin}{self.path}",
                "expirationTime": None,
                "keys": {"p256dh": base64url(self.point), "auth": base64url(self.auth)},
            }
        )

    def decrypt(self, body: bytes) -> bytes:
        """RFC 8291, section 3.4 and RFC 8188, section 2, implemented independently."""
        salt, size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
        point, record = body[21 : 21 + length], body[21 + length :]
        assert length == 65
        assert len(body) <= 4_096
        assert len(record) <= size, "more than one record"
        sender = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        shared = self.key.exchange(ec.ECDH(), sender)
        info = b"WebPush: info\0" + self.point + point
        material = HKDF(SHA256(), 32, self.auth, info).derive(shared)
        key = HKDF(SHA256(), 16, salt, b"Content-Encoding: aes128gcm\0").derive(material)
        nonce = HKDF(SHA256(), 12, salt, b"Content-Encoding: nonce\0").derive(material)
        plain = AESGCM(key).decrypt(nonce, record, None).rstrip(b"\0")
        assert plain.endswith(b"\2"), "not the last record"
        return plain[:-1]


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes
    message: Any


@dataclass
class PushService:
    """The state of the service.

    :param script: called with each valid request; what it returns is the answer.
    :param decrypts: whether the browsers decrypt each message when it arrives.
    """

    script: Callable[[Received], Reply | None] = lambda received: None
    decrypts: bool = True
    browsers: dict[str, Browser] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    #: Authorization headers that were verified, with their claims.
    authorizations: dict[str, Any] = field(default_factory=dict)
    calls: int = 0
    host: str = "127.0.0.1"
    port: int = 0

    @property
    def origin(self) -> str:
        return f"https://{self.host}:{self.port}"

    def subscribe(self) -> str:
        browser = Browser(f"/push/{token_urlsafe(32)}")
        self.browsers[browser.path] = browser
        return browser.subscription(self.origin)

    def browser_of(self, path: str) -> Browser | None:
        """Return whose subscription a path is."""
        return self.browsers.get(path)

    def __call__(self, request: Request) -> Reply:
        self.calls += 1
        browser = self.browser_of(request.path)
        if browser is None:
            return Reply(404)
        headers = dict(request.headers)
        if not re.fullmatch(r"\d+", headers.get("ttl", "")):
            return Reply(400, b"TTL")
        if headers.get("urgency", "normal") not in {"very-low", "low", "normal", "high"}:
            return Reply(400, b"Urgency")
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", headers.get("topic", "a")):
            return Reply(400, b"Topic")
        if headers.get("content-encoding") != "aes128gcm":
            return Reply(415)
        if len(request.body) > 4_096:
            return Reply(413)
        if not self.is_authorized(headers.get("authorization", "")):
            return ANSWERS["errno-109"]
        message = None
        if self.decrypts:
            message = json.loads(browser.decrypt(request.body))
        got = Received(request.path, headers, request.body, message)
        if reply := self.script(got):
            return reply
        self.received.append(got)
        return Reply(201, headers={"Location": f"{self.origin}/m/{len(self.received)}"})

    def is_authorized(self, header: str) -> bool:
        """RFC 8292, section 3."""
        claims = self.authorizations.get(header)
        if claims is None:
            match = re.fullmatch(r"vapid t=(?P<t>[\w.-]+),\s*k=(?P<k>[\w-]+)", header)
            if match is None:
                return False
            key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), decoded(match["k"]))
            try:
                claims = jwt.decode(
                    match["t"],
                    key,
                    algorithms=["ES256"],
                    audience=self.origin,
                    options={"require": ["exp", "sub"]},
                )
            except jwt.InvalidTokenError:
                return False
            self.authorizations[header] = claims
        return bool(time.time() < claims["exp"] <= time.time() + 86_400)


@contextmanager
def push_service(context: ssl.SSLContext, *, latency: float = 0.0) -> Iterator[PushService]:
    peer = PushService()
    with running(peer, tls=context, latency=latency) as peer.port:
        yield peer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--subscriptions", type=int, default=100)
    parser.add_argument("--deaf", action="store_true", help="do not decrypt, for benchmarks")
    given = parser.parse_args()
    context, _ = tls(given.directory)
    peer = PushService(decrypts=not given.deaf)

    def started(port: int) -> None:
        peer.port = port
        made = [peer.subscribe() for _ in range(given.subscriptions)]
        (given.directory / "subscriptions.json").write_text(json.dumps(made), "utf-8")
        print(peer.origin, flush=True)

    asyncio.run(serve(peer, started, tls=context, latency=given.latency))


if __name__ == "__main__":
    main()
