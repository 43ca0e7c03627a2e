"""TLS over bytes that we read ourselves."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import gevent
import gevent.socket
import pytest
import trustme

from django_pushjobs.transport.connections import Connections
from django_pushjobs.transport.exchanges import exchange
from django_pushjobs.transport.requests import http_request
from django_pushjobs.transport.tls import tls_context
from django_pushjobs.transport.tls_socket import TLSSocket
from tests.support.provider import http, provider, raw

#: More than the buffers of both sockets hold.
LARGE = 8_000_000


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return str(tmp_path / "ca.pem")


@pytest.fixture
def server(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@contextmanager
def connected(
    server: ssl.SSLContext, ca_file: str, serve: Callable[[ssl.SSLSocket], None]
) -> Iterator[TLSSocket]:
    """A connection to a peer that does ``serve`` in a native thread."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(10)

    def run() -> None:
        with suppress(OSError), server.wrap_socket(theirs, server_side=True) as peer:
            serve(peer)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    plain = gevent.socket.socket(ours.family, ours.type, 0, ours.detach())
    sock = tls_context(ca_file).wrap_socket(
        plain, server_hostname="127.0.0.1", do_handshake_on_connect=False
    )
    assert isinstance(sock, TLSSocket)
    try:
        sock.do_handshake()
        yield sock
    finally:
        sock.close()
        thread.join(10)


def read(sock: TLSSocket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size and (part := sock.recv(65_536)):
        data += part
    return bytes(data)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("way", ["send", "sendall"])
def test_much_goes_both_ways_at_once(
    server: ssl.SSLContext, ca_file: str, version: ssl.TLSVersion, way: str
) -> None:
    server.minimum_version = server.maximum_version = version
    data = b"0123456789abcdef" * (LARGE // 16)

    def echo(peer: ssl.SSLSocket) -> None:
        while part := peer.recv(65_536):
            peer.sendall(part)

    with connected(server, ca_file, echo) as sock:
        writing = gevent.spawn(getattr(sock, way), data)
        assert read(sock, LARGE) == data
        writing.get(timeout=10)


@pytest.mark.parametrize("polite", [True, False])
def test_the_end(server: ssl.SSLContext, ca_file: str, polite: bool) -> None:
    def leave(peer: ssl.SSLSocket) -> None:
        peer.sendall(b"bye")
        if polite:
            with suppress(OSError):
                peer.unwrap()

    with connected(server, ca_file, leave) as sock:
        assert read(sock, 10) == b"bye"
        assert sock.recv(10) == b""


def test_what_is_sent_to_nobody_fails(server: ssl.SSLContext, ca_file: str) -> None:
    gone = threading.Event()

    def leave(peer: ssl.SSLSocket) -> None:
        peer.close()
        gone.set()

    with connected(server, ca_file, leave) as sock:
        assert gone.wait(10)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            sock.sendall(bytes(LARGE))


def test_another_authority_is_not_trusted(server: ssl.SSLContext, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    with (
        pytest.raises(ssl.SSLCertVerificationError),
        connected(server, str(other), lambda peer: None),
    ):
        pass


def test_another_name_is_not_trusted(ca_file: str, authority: trustme.CA) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example").configure_cert(context)
    with (
        pytest.raises(ssl.SSLCertVerificationError),
        connected(context, ca_file, lambda peer: None),
    ):
        pass


def test_an_answer_that_nobody_asked_for_is_not_the_next_one(
    server: ssl.SSLContext, ca_file: str
) -> None:
    """It comes in a record of its own, but with the same packet: reading the socket has taken it,
    and reading the answer has not."""
    with provider(tls=server) as gateway:
        connections = Connections(gateway.url, size=1, connect_timeout=5, ca_file=ca_file)
        request = http_request("/", connections.authority, {}, b"")

        def both(connection: socket.socket) -> None:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
            raw(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", then=http(410))(connection)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)

        gateway.script(both, http(201))
        answers = [
            exchange(connections, request, timeout=10, max_response=100).answer for _ in range(2)
        ]
        assert answers == [200, 201]
        assert gateway.connections == 2
        connections.close()
