"""A server that speaks APNs' protocol: HTTP/2, provider tokens, all errors, stream limits, GOAWAY.

In a test it runs in a native thread. By hand, ``python -m tests.support.apns`` prints the options
of a backend that pushes to it; ``--help`` shows its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import ssl
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import GoAwayFrame

from .provider import lose_packets

KEY_ID, TEAM_ID, TOPIC = "ABC123DEFG", "DEF123GHIJ", "com.example.app"
PUSH_TYPES = frozenset(
    [
        *["alert", "background", "voip", "complication", "fileprovider", "mdm", "liveactivity"],
        *["location", "pushtotalk", "controls", "widgets"],
    ]
)


@dataclass(frozen=True)
class Answer:
    """An answer with a status; 200 has no body, others name their ``reason``."""

    status: int = 200
    reason: str = ""
    timestamp: int | None = None
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Reset:
    """RST_STREAM instead of an answer."""

    code: ErrorCodes = ErrorCodes.INTERNAL_ERROR


@dataclass(frozen=True)
class GoAway:
    """GOAWAY; this stream and later ones are not processed."""

    reason: str = "Shutdown"


@dataclass(frozen=True)
class Abort:
    """The connection is reset, with all its streams."""


@dataclass(frozen=True)
class Hang:
    """No answer at all."""


Reply = Answer | Reset | GoAway | Abort | Hang
OK = Answer()


@dataclass(frozen=True, slots=True)
class Received:
    """One request and the reply to it; ``connection`` counts from 1."""

    connection: int
    path: str
    headers: dict[str, str]
    body: bytes
    reply: Reply

    @property
    def token(self) -> str:
        return self.path.removeprefix("/3/device/")

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Peer:
    """What a test may set and look at; settings apply from the next request on."""

    key: str
    ca_file: str
    host: str = "localhost"
    port: int = 0
    latency: float = 0.0
    #: Replies for the next requests, whatever they are; then requests are judged.
    script: deque[Reply] = field(default_factory=deque)
    #: Chooses the reply to a valid request; None: 200.
    draw: Callable[[], Reply | None] | None = None
    #: Chooses the reply to a valid request by its device token; None: 200.
    choose: Callable[[str], Reply | None] | None = None
    #: SETTINGS_MAX_CONCURRENT_STREAMS of new connections.
    max_streams: int = 1_000
    silent: bool = False
    keep: bool = True
    received: list[Received] = field(default_factory=list)
    replies: Counter[str] = field(default_factory=Counter)
    connections: int = 0
    #: The most streams that were open at once on a connection: ever, and before its first 200.
    most_streams: int = 0
    early_streams: int = 0
    #: Streams that were opened above the limit although the client had acknowledged it.
    violations: int = 0
    pings: int = 0
    #: Provider tokens that were valid, and those that have expired.
    tokens: set[str] = field(default_factory=set)
    expired: set[str] = field(default_factory=set)
    open: set[_Connection] = field(default_factory=set)
    loop: asyncio.AbstractEventLoop | None = None

    def __post_init__(self) -> None:
        private = serialization.load_pem_private_key(self.key.encode(), None)
        self._public = private.public_key()
        self._verified: dict[str, float] = {}

    @property
    def options(self) -> dict[str, Any]:
        """The OPTIONS for a backend that pushes here."""
        return {
            "key": self.key,
            "key_id": KEY_ID,
            "team_id": TEAM_ID,
            "topic": TOPIC,
            "host": self.host,
            "port": self.port,
            "ca_file": self.ca_file,
        }

    def call(self, action: Callable[[], None]) -> None:
        """Do something in the peer's thread, and return when it is done."""
        done = threading.Event()

        def run() -> None:
            action()
            done.set()

        assert self.loop is not None
        self.loop.call_soon_threadsafe(run)
        assert done.wait(10)

    def limit_streams(self, limit: int) -> None:
        """Change the stream limit of all connections, open and new."""
        self.max_streams = limit
        self.call(lambda: [c.limit(limit) for c in self.open] and None)

    def go_away(self, reason: str = "Shutdown") -> None:
        """Send GOAWAY on all connections; requests that have arrived are still answered."""
        self.call(lambda: [c.go_away(reason) for c in list(self.open)] and None)

    def abort(self) -> None:
        """Reset all connections."""
        self.call(lambda: [c.transport.abort() for c in list(self.open)] and None)

    def lose_packets(self) -> None:
        """Drop what arrives on all connections, as a NAT does that has forgotten them."""
        self.call(
            lambda: [lose_packets(c.transport.get_extra_info("socket")) for c in self.open] and None
        )

    def judge(self, headers: dict[str, str], body: bytes) -> Answer:
        """Return what APNs answers to a request according to its documentation."""
        if headers[":method"] != "POST":
            return Answer(405, "MethodNotAllowed")
        path = headers[":path"]
        if not path.startswith("/3/device/"):
            return Answer(404, "BadPath")
        if refusal := self._refusal(headers.get("authorization", "")):
            return refusal
        if wrong := _wrong_headers(headers):
            return wrong
        if not body:
            return Answer(400, "PayloadEmpty")
        if len(body) > (5_120 if headers["apns-push-type"] == "voip" else 4_096):
            return Answer(413, "PayloadTooLarge")
        token = path.removeprefix("/3/device/")
        if len(token) != 64 or set(token) - set("0123456789abcdef"):
            return Answer(400, "BadDeviceToken")
        return OK

    def _refusal(self, authorization: str) -> Answer | None:
        scheme, _, token = authorization.partition(" ")
        if not token:
            return Answer(403, "MissingProviderToken")
        try:
            issued = self._verified.get(token)
            if issued is None:
                if scheme.lower() != "bearer" or jwt.get_unverified_header(token)["kid"] != KEY_ID:
                    return Answer(403, "InvalidProviderToken")
                claims = jwt.decode(
                    token,
                    self._public,
                    ["ES256"],
                    options={"verify_iat": False, "require": ["iat"]},
                )
                if claims["iss"] != TEAM_ID:
                    return Answer(403, "InvalidProviderToken")
                issued = self._verified[token] = claims["iat"]
                self.tokens.add(token)
        except (jwt.PyJWTError, LookupError):
            return Answer(403, "InvalidProviderToken")
        if token in self.expired or abs(time.time() - issued) > 3_600:
            return Answer(403, "ExpiredProviderToken")
        return None


def _wrong_headers(headers: dict[str, str]) -> Answer | None:
    push_type, topic = headers.get("apns-push-type", ""), headers.get("apns-topic", "")
    if push_type not in PUSH_TYPES:
        return Answer(400, "InvalidPushType")
    if not topic:
        return Answer(400, "MissingTopic")
    if not (topic == TOPIC or topic.startswith(f"{TOPIC}.")):
        return Answer(400, "DeviceTokenNotForTopic")
    allowed = {"5"} if push_type == "background" else {"10", "5", "1"}
    if headers.get("apns-priority", "10") not in allowed:
        return Answer(400, "BadPriority")
    if not headers.get("apns-expiration", "0").isdecimal():
        return Answer(400, "BadExpirationDate")
    if len(headers.get("apns-collapse-id", "").encode()) > 64:
        return Answer(400, "BadCollapseId")
    try:
        UUID(headers.get("apns-id", str(UUID(int=0))))
    except ValueError:
        return Answer(400, "BadMessageId")
    return None


class _Protocol(H2Connection):
    """Leaves it to us to count streams: a violation is counted, and does not end the connection."""

    def _open_streams(self, remainder: int) -> int:
        if len(self.streams) > 4_000:
            super()._open_streams(remainder)
        return 0


class _Connection(asyncio.Protocol):
    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.h2 = _Protocol(
            H2Configuration(
                client_side=False,
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self.requests: dict[int, tuple[dict[str, str], bytearray]] = {}
        self.is_trusted = False
        self.last_id: int | None = None
        self.highest = 0
        self.acknowledged = 2**31
        self.limits: deque[int] = deque()
        self._flushing = False

    def connection_made(self, transport: Any) -> None:
        self.transport: Any = transport
        self.peer.connections += 1
        self.number = self.peer.connections
        self.peer.open.add(self)
        self.h2.local_settings = Settings(
            client=False,
            initial_values={SettingCodes.MAX_CONCURRENT_STREAMS: self.peer.max_streams},
        )
        self.limits.append(self.peer.max_streams)
        self.h2.initiate_connection()
        self.flush()

    def connection_lost(self, error: Exception | None) -> None:
        self.peer.open.discard(self)

    def flush(self) -> None:
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._write)

    def _write(self) -> None:
        self._flushing = False
        if (data := self.h2.data_to_send()) and not self.transport.is_closing():
            self.transport.write(data)

    def limit(self, limit: int) -> None:
        self.limits.append(limit)
        self.h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: limit})
        self.flush()

    def go_away(self, reason: str, last_id: int | None = None) -> None:
        self.last_id = self.highest if last_id is None else last_id
        self._write()
        frame = GoAwayFrame(0, last_stream_id=self.last_id)
        frame.additional_data = json.dumps({"reason": reason}).encode()
        self.transport.write(frame.serialize())
        for stream_id in [number for number in self.requests if number > self.last_id]:
            del self.requests[stream_id]
        self._close_when_done()

    def _close_when_done(self) -> None:
        if self.last_id is not None and not self.requests:
            self._write()
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        if self.peer.silent:
            return
        try:
            received = self.h2.receive_data(data)
        except ProtocolError:
            self._write()
            self.transport.close()
            self.peer.violations += 1
            return
        for event in received:
            self._handle(event)
        self.flush()

    def _handle(self, event: events.Event) -> None:
        peer = self.peer
        match event:
            case events.RequestReceived():
                self._begin(event)
            case events.DataReceived():
                self.h2.acknowledge_received_data(
                    event.flow_controlled_length or 0, event.stream_id
                )
                if request := self.requests.get(event.stream_id):
                    request[1].extend(event.data or b"")
            case events.StreamEnded():
                if event.stream_id in self.requests:
                    self._decide(event.stream_id)
            case events.StreamReset():
                self.requests.pop(event.stream_id, None)
            case events.SettingsAcknowledged():
                if self.limits:
                    self.acknowledged = self.limits.popleft()
            case events.PingReceived():
                peer.pings += 1

    def _begin(self, event: events.RequestReceived) -> None:
        peer, stream_id = self.peer, event.stream_id
        if self.last_id is not None and stream_id > self.last_id:
            return
        self.highest = stream_id
        headers = {name.decode(): value.decode() for name, value in event.headers}
        self.requests[stream_id] = headers, bytearray()
        count = len(self.requests)
        peer.most_streams = max(peer.most_streams, count)
        if not self.is_trusted:
            peer.early_streams = max(peer.early_streams, count)
        if count > self.acknowledged:
            peer.violations += 1
            self._reply(stream_id, Reset(ErrorCodes.REFUSED_STREAM))

    def _decide(self, stream_id: int) -> None:
        peer = self.peer
        headers, body = self.requests[stream_id]
        reply: Reply = peer.script.popleft() if peer.script else peer.judge(headers, bytes(body))
        if reply == OK and peer.draw is not None:
            reply = peer.draw() or OK
        if reply == OK and peer.choose is not None:
            reply = peer.choose(headers[":path"].removeprefix("/3/device/")) or OK
        peer.replies[reply.reason or "OK" if isinstance(reply, Answer) else repr(reply)] += 1
        if peer.keep:
            peer.received.append(
                Received(self.number, headers[":path"], headers, bytes(body), reply)
            )
        if peer.latency:
            asyncio.get_running_loop().call_later(peer.latency, self._reply, stream_id, reply)
        else:
            self._reply(stream_id, reply)

    def _reply(self, stream_id: int, reply: Reply) -> None:
        if stream_id not in self.requests or self.transport.is_closing():
            return
        match reply:
            case GoAway():
                self.go_away(reply.reason, stream_id - 2 if stream_id > 1 else 0)
                return
            case Abort():
                self.transport.abort()
                return
            case Hang():
                return
        headers, _ = self.requests.pop(stream_id)
        with suppress(ProtocolError):
            if isinstance(reply, Reset):
                self.h2.reset_stream(stream_id, reply.code)
            else:
                self._answer(stream_id, headers.get("apns-id", ""), reply)
        self._close_when_done()
        self.flush()

    def _answer(self, stream_id: int, apns_id: str, answer: Answer) -> None:
        self.is_trusted |= answer.status == 200
        body = answer.body
        if body is None:
            content: dict[str, Any] = {}
            if answer.reason:
                content["reason"] = answer.reason
            if answer.timestamp is not None:
                content["timestamp"] = answer.timestamp
            body = json.dumps(content).encode() if content else b""
        headers = [(":status", str(answer.status)), ("apns-id", apns_id), *answer.headers]
        # Like APNs, it does not index an id that never comes again.
        fields: list[Any] = [(n.encode(), v.encode(), n == "apns-id") for n, v in headers]
        self.h2.send_headers(stream_id, fields, end_stream=not body)
        while body:
            size = min(self.h2.local_flow_control_window(stream_id), 16_384)
            if size <= 0:
                self.h2.reset_stream(stream_id)
                return
            self.h2.send_data(stream_id, body[:size], end_stream=size >= len(body))
            body = body[size:]


def make_key() -> str:
    """Return a new private key in the format that Apple uses: PKCS #8 in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _tls(authority: trustme.CA, alpn: Sequence[str]) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if alpn:
        context.set_alpn_protocols(list(alpn))
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


@contextmanager
def apns(*, port: int = 0, alpn: Sequence[str] = ("h2",), **settings: Any) -> Iterator[Peer]:
    """Run a peer in a thread, on a free port of the loopback interface."""
    authority = trustme.CA()
    with tempfile.TemporaryDirectory(prefix="apns-") as folder:
        ca_file = Path(folder) / "ca.pem"
        authority.cert_pem.write_to_path(str(ca_file))
        peer = Peer(key=make_key(), ca_file=str(ca_file), **settings)
        ready, stop = threading.Event(), asyncio.Event()

        async def serve() -> None:
            peer.loop = asyncio.get_running_loop()
            server = await peer.loop.create_server(
                lambda: _Connection(peer), "127.0.0.1", port, ssl=_tls(authority, alpn), backlog=256
            )
            peer.port = server.sockets[0].getsockname()[1]
            ready.set()
            await stop.wait()
            server.close()
            for connection in list(peer.open):
                connection.transport.abort()
            await asyncio.sleep(0.01)

        thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
        thread.start()
        assert ready.wait(10)
        assert peer.loop is not None
        try:
            yield peer
        finally:
            peer.loop.call_soon_threadsafe(stop.set)
            thread.join(10)


def errors(rate: float, replies: Sequence[Reply], seed: int = 1) -> Callable[[], Reply | None]:
    """Return a ``draw`` that returns one of ``replies`` at this rate, from 0 to 1."""
    chance = random.Random(seed)
    return lambda: chance.choice(replies) if chance.random() < rate else None


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.support.apns", description=__doc__)
    add = parser.add_argument
    add("--port", type=int, default=0, help="0 for a free one")
    add("--latency-ms", type=float, default=0)
    add("--max-streams", type=int, default=1_000)
    add("--errors", type=float, default=0, help="share of answers that are 503, from 0 to 1")
    given = parser.parse_args()
    with apns(
        port=given.port,
        latency=given.latency_ms / 1_000,
        max_streams=given.max_streams,
        draw=errors(given.errors, [Answer(503, "ServiceUnavailable")]),
        keep=False,
    ) as peer:
        print(json.dumps(peer.options), flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
