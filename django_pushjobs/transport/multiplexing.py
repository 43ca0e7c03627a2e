"""Requests over a few HTTP/2 connections to one origin, shared by all greenlets of a process."""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import gevent
from gevent import Timeout, get_hub
from gevent.event import AsyncResult
from gevent.socket import IPPROTO_TCP, TCP_NODELAY, create_connection, socket
from gevent.ssl import PROTOCOL_TLS_CLIENT, SSLContext
from hpack import HeaderTuple, NeverIndexedHeaderTuple

from .http2 import Connection, Response
from .http2_errors import HTTP2Error, NotStarted, Unprocessed

#: How often a request is sent that the peer says it has not touched.
_SENDS = 3

Header = tuple[str, str]


class Unreachable(HTTP2Error):
    """There is no connection, and none can be made; ``__cause__`` says why."""

    def __init__(self, detail: str) -> None:
        super().__init__("unreachable", detail, sent=False)


class TimedOut(HTTP2Error):
    """There was no answer in time."""


class Multiplexer:
    """Connections to one origin over TLS, made when they are needed and kept open.

    Another connection is made when all others have as many streams as the peer allows, one at a
    time. A request that the peer did not touch, because it ended the connection or refused the
    stream, is sent again on another one.

    :param host: the name that the certificate must have.
    :param connections: connections at most; further requests wait for a free stream.
    :param connect_timeout: seconds to make a connection.
    :param timeout: seconds for a request in all.
    :param max_response: bytes of an answer's body that are kept.
    :param ca_file: PEM file with the authorities to trust instead of the system's.
    :param headers: those that all requests have in common.
    :raises ValueError: ``ca_file`` holds no certificates.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        connections: int,
        connect_timeout: float,
        timeout: float,
        max_response: int,
        ca_file: str | None = None,
        headers: Sequence[Header] = (),
    ) -> None:
        self.host = host
        self.port = port
        self.size = connections
        self.connect_timeout = connect_timeout
        self.timeout = timeout
        self.max_response = max_response
        self.tls: SSLContext = tls_context(ca_file)
        authority = host if port == 443 else f"{host}:{port}"
        self._scheme = [
            (b":method", b"POST"),
            (b":scheme", b"https"),
            (b":authority", authority.encode()),
        ]
        self._common = [(name.encode(), value.encode()) for name, value in headers]
        # One pool a hub, which is one a native thread: a socket waits in the hub that made it.
        self._pools: WeakKeyDictionary[Any, _Pool] = WeakKeyDictionary()

    def post(
        self, path: str, body: bytes, *, headers: Sequence[Header], own: Sequence[Header]
    ) -> Response:
        """Post ``body`` and return the answer.

        :param headers: such as many requests have; the peer is asked to remember them.
        :param own: such as no other request has.
        :raises HTTP2Error: there is no answer; ``sent`` says whether the peer may have acted.
        """
        fields: list[HeaderTuple | tuple[bytes, bytes]] = [
            *self._scheme,
            NeverIndexedHeaderTuple(b":path", path.encode()),
            *self._common,
        ]
        fields += [(name.encode(), value.encode()) for name, value in headers]
        fields += [NeverIndexedHeaderTuple(name.encode(), value.encode()) for name, value in own]
        pool = self._pool()
        connection: Connection | None = None
        deadline = Timeout.start_new(self.timeout)
        try:
            sends = 0
            while True:
                connection = None
                connection = pool.take()
                try:
                    return connection.request(fields, body)
                except NotStarted:
                    continue
                except Unprocessed:
                    sends += 1
                    if sends == _SENDS:
                        raise
        except Timeout as timeout:
            if timeout is not deadline:
                raise  # the job's own, or the caller's
            sent = connection is not None
            raise TimedOut("timeout", "there was no answer in time", sent=sent) from None
        finally:
            deadline.close()

    def close(self) -> None:
        """End all connections."""
        pools, self._pools = list(self._pools.values()), WeakKeyDictionary()
        for pool in pools:
            pool.close()

    @property
    def open_connections(self) -> int:
        """How many connections the current thread has."""
        return len(self._pool().connections)

    def _pool(self) -> _Pool:
        hub = get_hub()
        pool = self._pools.get(hub)
        if pool is None:
            pool = self._pools[hub] = _Pool(self)
        return pool


class _Pool:
    """The connections of one hub, and the greenlets that wait for a stream."""

    def __init__(self, origin: Multiplexer) -> None:
        self._origin = origin
        self.connections: list[Connection] = []
        self._waiting: deque[AsyncResult[Any]] = deque()
        self._connecting = False
        self._closed = False

    def take(self) -> Connection:
        """Return a connection with a slot reserved in it; callers are served in their order.

        :raises Unreachable: there is no connection, and none could be made.
        """
        if not self._waiting and (connection := self._free()):
            connection.reserve()
            return connection
        turn: AsyncResult[Any] = AsyncResult()
        self._waiting.append(turn)
        self._grow()
        try:
            found = turn.get()
        except BaseException:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif isinstance(turn.value, Connection):
                turn.value.release()
            raise
        if isinstance(found, OSError):
            raise Unreachable("the host cannot be reached") from found
        assert isinstance(found, Connection)
        return found

    def close(self) -> None:
        self._closed = True
        connections, self.connections = self.connections, []
        for connection in connections:
            connection.close()

    def _free(self) -> Connection | None:
        """Return the connection with the most free slots."""
        best = max(self.connections, key=lambda connection: connection.free, default=None)
        return best if best is not None and best.free > 0 else None

    def _serve(self) -> None:
        """Hand free slots to those who wait for one."""
        if any(connection.is_closing for connection in self.connections):
            self.connections = [c for c in self.connections if not c.is_closing]
        while self._waiting and (connection := self._free()):
            connection.reserve()
            self._waiting.popleft().set(connection)
        if self._waiting:
            self._grow()

    def _grow(self) -> None:
        """Make another connection, unless one is being made or tried."""
        wanted = (
            not self._connecting
            and not self._closed
            and len(self.connections) < self._origin.size
            and all(connection.is_proven for connection in self.connections)
        )
        if wanted:
            self._connecting = True
            gevent.spawn(self._connect)

    def _connect(self) -> None:
        origin = self._origin
        try:
            sock = connect(origin.host, origin.port, origin.tls, timeout=origin.connect_timeout)
        except OSError as error:
            self._connecting = False
            if not self.connections:
                # Nobody has to find out for himself, one connect after the other.
                waiting, self._waiting = self._waiting, deque()
                for turn in waiting:
                    turn.set(error)
            return
        self._connecting = False
        if self._closed:
            sock.close()
            return
        connection = Connection(sock, max_response=origin.max_response, on_change=self._serve)
        self.connections.append(connection)
        self._serve()


def tls_context(ca_file: str | None) -> SSLContext:
    """Return a context for HTTP/2 (RFC 9113, section 9.2) that verifies certificate and name.

    :param ca_file: PEM file with the authorities to trust instead of the system's.
    :raises ValueError: ``ca_file`` holds no certificates.
    """
    context = SSLContext(PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    if ca_file is None:
        context.load_default_certs()
    else:
        try:
            context.load_verify_locations(cafile=ca_file)
        except OSError as error:
            raise ValueError(f"ca_file cannot be read: {error}") from error
    return context


def connect(host: str, port: int, tls: SSLContext, *, timeout: float) -> socket:
    """Return a socket to ``host`` that speaks HTTP/2.

    :param timeout: seconds in all.
    :raises OSError: the host cannot be reached, its certificate is not trusted, or it does not
        speak HTTP/2. A :class:`TimeoutError` after ``timeout``.
    """
    sock: socket | None = None
    try:
        with Timeout(timeout, TimeoutError("the host cannot be reached in time")):
            sock = create_connection((host, port))
            sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
            sock = tls.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
            sock.do_handshake()
            if sock.selected_alpn_protocol() != "h2":
                raise ConnectionError("the host does not speak HTTP/2")
            return sock
    except BaseException:
        if sock is not None:
            sock.close()
        raise
