"""Answers that never end, as fast as the loopback interface takes them.

``python -m tests.support.evil CA_FILE`` serves them in a process of its own, so that what they cost
the client is all that is measured there. It writes the certificate of its authority to CA_FILE and
prints three ports: HTTP/1.1, HTTP/1.1 over TLS, HTTP/2. The path of a request, or the header
``evil`` in HTTP/2, names the answer; of a path, the first part does, so that there can be many
different ones. After a first part ``proven``, the challenge to an endpoint of callbacks is met, and
the second part names the answer to all others.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import repeat
from pathlib import Path
from typing import Any

import trustme
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

_PORTION = 65_536
_OK = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _OK + b"Transfer-Encoding: chunked\r\n\r\n"


def _lasting(start: bytes, again: bytes) -> tuple[bytes, bytes]:
    """Return ``start``, and ``again`` as often as it fits into a portion."""
    return start, again * max(1, _PORTION // len(again))


#: Name -> what comes first, and what comes for ever.
HTTP1: Mapping[str, tuple[bytes, bytes]] = {
    "trailers": _lasting(_CHUNKED + b"0\r\n", b"X-Trailer: again\r\n"),
    "a-trailer-value": _lasting(_CHUNKED + b"0\r\nX-Trailer: ", b"x"),
    "a-header-value": _lasting(_OK + b"X-Header: ", b"x"),
    "a-header-name": _lasting(_OK, b"x"),
    "small-headers": _lasting(_OK, b"a:\r\n"),
    "folded-lines": _lasting(_OK + b"X-Header: a\r\n", b" b\r\n"),
    "a-reason": _lasting(b"HTTP/1.1 200 ", b"so it is "),
    "interim-answers": _lasting(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "blank-lines": _lasting(b"", b"\r\n"),
    "white-space": _lasting(b"", b" "),
    "nothing-but-nul": _lasting(b"", b"\0"),
    "a-body-with-a-length": _lasting(_OK + b"Content-Length: 9000000000000000\r\n\r\n", b"y"),
    "a-body-without-a-length": _lasting(_OK + b"\r\n", b"y"),
    "a-content-length": _lasting(_OK + b"Content-Length: ", b"0"),
    "small-chunks": _lasting(_CHUNKED, b"1\r\ny\r\n"),
    "a-chunk-extension": _lasting(_CHUNKED + b"1;", b"a=b;"),
    "a-chunk-size": _lasting(_CHUNKED, b"0"),
    "answers": _lasting(b"", _OK + b"Content-Length: 0\r\n\r\n"),
    "a-body-of-a-204": _lasting(b"HTTP/1.1 204 None\r\n\r\n", b"y"),
}


def frame(kind: int, stream: int = 0, payload: bytes = b"", flags: int = 0) -> bytes:
    """One frame (RFC 9113, section 4.1)."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _setting(code: int, value: int) -> bytes:
    return struct.pack(">HI", code, value)


def _literal(name: bytes, size: int) -> bytes:
    """The begin of a header field whose value has ``size`` bytes (RFC 7541, section 6.2.2)."""
    number, rest = b"", size - 127
    while rest >= 128:
        number, rest = number + bytes([rest % 128 | 128]), rest >> 7
    return b"\x00" + bytes([len(name)]) + name + b"\x7f" + number + bytes([rest])


_DATA, _HEADERS, _PRIORITY, _RESET, _SETTINGS, _PROMISE, _PING, _GOAWAY, _WINDOW, _MORE = range(10)
_END_HEADERS = 4
_200 = frame(_HEADERS, 1, b"\x88", _END_HEADERS)
_103 = b"\x08\x03103"
_FULL = 16_384
#: Adds a field of 4,000 bytes to the dynamic table; then each byte repeats it.
_BOMB = b"\x88\x40\x01a" + _literal(b"", 4_000)[2:] + b"x" * 4_000 + b"\xbe" * 12_000
#: Settings that nobody knows, each another one.
_UNKNOWN = [
    frame(_SETTINGS, 0, b"".join(_setting(256 + n * 2_700 + i, 1) for i in range(2_700)))
    for n in range(24)
]

HTTP2: Mapping[str, tuple[bytes, bytes]] = {
    "pings": _lasting(b"", frame(_PING, 0, b"deadbeef")),
    "settings": _lasting(b"", frame(_SETTINGS, 0, _setting(4, 1_000))),
    "empty-settings": _lasting(b"", frame(_SETTINGS)),
    "unknown-settings": _lasting(b"", b"".join(_UNKNOWN)),
    "windows": _lasting(b"", frame(_WINDOW, 0, b"\0\0\0\1")),
    "stream-windows": _lasting(b"", frame(_WINDOW, 1, b"\0\0\0\1")),
    "priorities": _lasting(b"", frame(_PRIORITY, 1, b"\0\0\0\0\7")),
    "unknown-frames": _lasting(b"", frame(99)),
    "goaways": _lasting(b"", frame(_GOAWAY, 0, b"\x7f\xff\xff\xff\0\0\0\0")),
    "resets": _lasting(b"", frame(_RESET, 1, b"\0\0\0\2")),
    "promises": _lasting(b"", frame(_PROMISE, 1, b"\0\0\0\2\x88", _END_HEADERS)),
    "interim-answers": _lasting(b"", frame(_HEADERS, 1, _103, _END_HEADERS)),
    "large-interim-answers": _lasting(
        b"", frame(_HEADERS, 1, _103 + _literal(b"a", 16_000) + b"x" * 16_000, _END_HEADERS)
    ),
    "continuations": _lasting(frame(_HEADERS, 1), frame(_MORE, 1)),
    "a-header-value": _lasting(
        frame(_HEADERS, 1, b"\x88" + _literal(b"a", 1 << 28)), frame(_MORE, 1, b"x" * _FULL)
    ),
    "a-megabyte-of-huffman": _lasting(
        frame(_HEADERS, 1, b"\x88\x00\x01a\xff\x81\xff\x3d")
        + frame(_MORE, 1, b"\0" * _FULL) * 61
        + frame(_MORE, 1, b"\0" * _FULL, _END_HEADERS),
        frame(_PING, 0, b"deadbeef"),
    ),
    "a-bomb": _lasting(frame(_HEADERS, 1, _BOMB, _END_HEADERS), frame(_PING, 0, b"deadbeef")),
    "table-sizes": _lasting(
        frame(_HEADERS, 1, b"\x20" * _FULL) + frame(_MORE, 1, b"\x20" * _FULL) * 3,
        frame(_MORE, 1, b"\x88", _END_HEADERS),
    ),
    "empty-data": _lasting(_200, frame(_DATA, 1)),
    "padding": _lasting(_200, frame(_DATA, 1, b"\xff" + b"\0" * 255, 8)),
    "data": _lasting(_200, frame(_DATA, 1, b"y" * _FULL)),
    "small-data": _lasting(_200, frame(_DATA, 1, b"y")),
    "trailers": _lasting(_200, frame(_HEADERS, 1, b"\x00\x01a\x01b", _END_HEADERS)),
}


class _Records:
    """Makes records of TLS 1.3 for a connection of OpenSSL that has sent none so far, by the
    secret in its key log (RFC 8446, sections 5.2, 5.3 and 7.3)."""

    def __init__(self, connection: ssl.SSLSocket, log: Path) -> None:
        cipher = connection.cipher()
        assert cipher is not None
        assert "AES" in cipher[0]
        self.hash: Any = SHA384() if "SHA384" in cipher[0] else SHA256()
        self.size = 32 if "256_GCM" in cipher[0] else 16
        words = [line.split() for line in log.read_text().splitlines()]
        self.secret = [bytes.fromhex(w[2]) for w in words if w[0] == "SERVER_TRAFFIC_SECRET_0"][-1]
        self.renew()

    def renew(self) -> None:
        self.cipher = AESGCM(self.expand(b"key", self.size))
        self.nonce, self.count = int.from_bytes(self.expand(b"iv", 12)), 0

    def update(self) -> None:
        """Use the keys that follow a KeyUpdate."""
        self.secret = self.expand(b"traffic upd", self.hash.digest_size)
        self.renew()

    def expand(self, label: bytes, size: int) -> bytes:
        label = b"tls13 " + label
        info = struct.pack(">HB", size, len(label)) + label + b"\0"
        return HKDFExpand(self.hash, size, info).derive(self.secret)

    def record(self, kind: int, content: bytes) -> bytes:
        head = b"\x17\3\3" + struct.pack(">H", len(content) + 17)
        nonce = (self.nonce ^ self.count).to_bytes(12)
        self.count += 1
        return head + self.cipher.encrypt(nonce, content + bytes([kind]), head)


#: NewSessionTicket, of one byte (RFC 8446, section 4.6.1).
_TICKET = b"\4\0\0\x0e" + b"\0\0\1\0" + b"\0\0\0\1" + b"\0" + b"\0\1t" + b"\0\0"
_KEY_UPDATE = b"\x18\0\0\1\1"


def _tickets(records: _Records) -> Iterator[bytes]:
    for _ in repeat(None):
        yield records.record(22, _TICKET * (16_384 // len(_TICKET)))


def _key_updates(records: _Records) -> Iterator[bytes]:
    for _ in repeat(None):
        yield records.record(22, _KEY_UPDATE)
        records.update()


def _empty_records(records: _Records) -> Iterator[bytes]:
    for _ in repeat(None):
        yield b"".join(records.record(23, b"") for _ in range(100))


def _bytewise(records: _Records) -> Iterator[bytes]:
    """A body, in records of one byte."""
    yield records.record(23, _OK + b"\r\n")
    for _ in repeat(None):
        yield b"".join(records.record(23, b"y") for _ in range(1_000))


TLS: Mapping[str, Callable[[_Records], Iterator[bytes]]] = {
    "session-tickets": _tickets,
    "key-updates": _key_updates,
    "empty-records": _empty_records,
    "records-of-one-byte": _bytewise,
}


def _send(connection: socket.socket, evil: tuple[bytes, bytes]) -> None:
    start, again = evil
    connection.sendall(start)
    while True:
        connection.sendall(again)


def _drip(connection: socket.socket) -> None:
    connection.sendall(_OK + b"Content-Length: 1000\r\n\r\n")
    while True:
        connection.sendall(b"y")
        time.sleep(0.02)


#: Warnings for ever (RFC 5246, section 7.2) instead of a handshake.
WARNINGS = _lasting(b"", b"\x15\3\3\0\2\1\x5a")

#: Name -> an answer that ends.
BRIEF: Mapping[str, bytes] = {
    "good": _OK + b"Content-Length: 2\r\n\r\nok",
    "gone": b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n",
    "redirect": b"HTTP/1.1 307 Here\r\nLocation: /redirect\r\nContent-Length: 0\r\n\r\n",
}


def _request(connection: socket.socket) -> bytes:
    """Return the next request with its body, or what came before the connection was closed."""
    data = connection.recv(_PORTION)
    while data and not data.startswith(b"\x16\3"):
        head, end, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\ncontent-length: *([0-9]+)", head)
        if end and len(body) >= int(length[1] if length else 0):
            break
        if not (more := connection.recv(_PORTION)):
            break
        data += more
    return data


def _http1(connection: socket.socket, log: Path | None = None) -> None:
    while request := _request(connection):
        if request.startswith(b"\x16\3"):
            _send(connection, WARNINGS)
        _, name, *rest = request.split(b" ", 2)[1].decode().split("/")
        if name == "proven":
            name = rest[0]
            if code := re.search(rb'"challenge": ?"([^"]+)"', request):
                length = b"Content-Length: %d\r\n\r\n" % len(code[1])
                connection.sendall(_OK + length + code[1])
                continue
        if name in BRIEF:
            connection.sendall(BRIEF[name])
        elif name == "silence":
            connection.recv(_PORTION)
        elif name == "drip":
            _drip(connection)
        elif name in TLS and isinstance(connection, ssl.SSLSocket) and log is not None:
            made = TLS[name](_Records(connection, log))
            with socket.socket(fileno=os.dup(connection.fileno())) as raw:
                for records in made:
                    raw.sendall(records)
        else:
            _send(connection, HTTP1[name])


def _http2(connection: socket.socket) -> None:
    connection.sendall(frame(_SETTINGS))
    data = b""
    while b"name=" not in data:
        data += connection.recv(_PORTION)
    name = data.split(b"name=")[1].split(b";")[0].decode()
    if name == "drip":
        connection.sendall(_200)
        while True:
            connection.sendall(frame(_DATA, 1, b"y"))
            time.sleep(0.02)
    _send(connection, HTTP2[name])


def _listen(serve: Callable[[socket.socket], None]) -> int:
    listener = socket.create_server(("127.0.0.1", 0))

    def run(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            serve(connection)

    def accept() -> None:
        while True:
            threading.Thread(target=run, args=listener.accept()[:1], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    port: int = listener.getsockname()[1]
    return port


def main(ca_file: str) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")

    def context(log: Path | None = None) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(made)
        made.num_tickets = 0
        if log is not None:
            made.keylog_filename = str(log)
        return made

    def https(connection: socket.socket) -> None:
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "keys"
            _http1(context(log).wrap_socket(connection, server_side=True), log)

    def http2(connection: socket.socket) -> None:
        made = context()
        made.set_alpn_protocols(["h2"])
        _http2(made.wrap_socket(connection, server_side=True))

    authority.cert_pem.write_to_path(ca_file)
    print(_listen(_http1), _listen(https), _listen(http2), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
