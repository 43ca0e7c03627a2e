"""Requests over a few HTTP/2 connections to one origin, shared by all greenlets of a process."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import gevent
from gevent import Timeout, get_hub
from gevent.event import AsyncResult
from hpack import HeaderTuple, NeverIndexedHeaderTuple

from .dialer import Dialer
from .http2 import Connection
from .http2_errors import ConnectFailed, Lost, NotStarted, TimedOut, Unprocessed
from .http2_exchange import Response
from .proxy import proxy_for
from .tls import tls_context

#: How often a request is sent, if the peer says each time that it did not process it, or if it may
#: be sent again and each connection is lost.
_SENDS = 3

Header = tuple[str, str]


class Multiplexer:
    """Connections to one origin over TLS, made on demand and kept open.

    If all connections have as many streams as the peer allows, or await the answer that opens them
    to more, another one is made, one at a time.
    A request that the peer did not process, because it closed the connection or refused the
    stream, is sent again on another connection.

    :param host: the name that the certificate must have.
    :param connections: maximum number of connections; further requests wait for a free stream.
    :param connect_timeout: seconds to connect to one address of the host, see :class:`.Dialer`.
    :param max_response: bytes of an answer's body that are kept.
    :param ca_file: PEM file with the authorities to trust instead of the system's.
    :param headers: sent with every request.
    :param proxy: URL of the proxy to go through, or ``"environment"``, see :mod:`.proxy`.
    :raises ValueError: ``ca_file`` cannot be read or contains no certificates, or ``proxy`` is
        wrong.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        connections: int,
        connect_timeout: float,
        max_response: int,
        ca_file: str | None = None,
        headers: Sequence[Header] = (),
        proxy: str | None = None,
    ) -> None:
        self.size = connections
        self.max_response = max_response
        self.dialer = Dialer(
            host,
            port,
            connect_timeout=connect_timeout,
            tls=tls_context(ca_file, http2=True),
            http2=True,
            proxy=proxy_for(proxy, scheme="https", host=host, port=port),
        )
        authority = host if port == 443 else f"{host}:{port}"
        self._scheme = [
            (b":method", b"POST"),
            (b":scheme", b"https"),
            (b":authority", authority.encode()),
        ]
        self._common = [(name.encode(), value.encode()) for name, value in headers]
        # One pool per hub, that is per native thread: a socket waits in the hub that made it.
        self._pools: WeakKeyDictionary[Any, _Pool] = WeakKeyDictionary()

    def post(
        self,
        path: str,
        body: bytes,
        *,
        headers: Sequence[Header],
        own: Sequence[Header],
        timeout: float,
        idempotent: bool = False,
    ) -> Response:
        """Post ``body`` and return the answer.

        :param headers: those that other requests have too; the peer is asked to index them.
        :param own: those that no other request has.
        :param timeout: seconds for everything, from the wait for a free stream to the answer.
        :param idempotent: the peer recognizes the request if it comes a second time: it is sent
            again if the connection is lost.
        :raises HTTP2Error: there is no answer; ``sent`` says whether the peer may have processed
            the request.
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
        deadline = Timeout.start_new(timeout)
        try:
            sends = 0
            while True:
                connection = None
                connection = pool.take()
                try:
                    return connection.request(fields, body, deadline=deadline)
                except NotStarted:
                    continue
                except Unprocessed:
                    sends += 1
                    if sends == _SENDS:
                        raise
                except Lost as lost:
                    sends += 1
                    again = idempotent and lost.word == "connection_lost" and not pool.is_closed
                    if sends == _SENDS or not again:
                        raise
        except Timeout as expired:
            if expired is not deadline:
                raise  # the job's own, or the caller's
            raise TimedOut(sent=connection is not None) from None
        finally:
            deadline.close()

    def close(self) -> None:
        """End all connections."""
        pools, self._pools = list(self._pools.values()), WeakKeyDictionary()
        for pool in pools:
            pool.close()

    @property
    def open_connections(self) -> int:
        """The number of connections of the current thread."""
        return len(self._pool().connections)

    def _pool(self) -> _Pool:
        hub = get_hub()
        pool = self._pools.get(hub)
        if pool is None:
            pool = self._pools[hub] = _Pool(self)
        return pool


class _Pool:
    """The connections of one hub, and the greenlets that wait for a stream on one of them."""

    def __init__(self, origin: Multiplexer) -> None:
        self._origin = origin
        self.connections: list[Connection] = []
        self._waiting: deque[AsyncResult[Any]] = deque()
        self._connecting = False
        self.is_closed = False

    def take(self) -> Connection:
        """Return a connection with a slot reserved on it. Callers are served in order.

        :raises ConnectFailed: there is no connection, and none could be made.
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
        if isinstance(found, Exception):
            raise ConnectFailed(found) from found
        # For the type checker.
        assert isinstance(found, Connection)  # nosec B101
        return found

    def close(self) -> None:
        self.is_closed = True
        connections, self.connections = self.connections, []
        for connection in connections:
            connection.close()

    def _free(self) -> Connection | None:
        """Return the connection with the most free slots."""
        best = max(self.connections, key=lambda connection: connection.free, default=None)
        return best if best is not None and best.free > 0 else None

    def _serve(self) -> None:
        """Give free slots to the greenlets that wait for one."""
        if any(connection.is_closing for connection in self.connections):
            closing = [c for c in self.connections if c.is_closing]
            self.connections = [c for c in self.connections if not c.is_closing]
            for silent in closing:
                if silent.was_silent:
                    self._doubt(silent)
        while self._waiting and (connection := self._free()):
            connection.reserve()
            self._waiting.popleft().set(connection)
        if self._waiting:
            self._grow()

    def _doubt(self, silent: Connection) -> None:
        """Leave what may have gone silent together with ``silent``, and try its address last."""
        self._origin.dialer.distrust(silent.address)
        for other in [c for c in self.connections if c.heard <= silent.busy_since]:
            other.retire()

    def _grow(self) -> None:
        """Make another connection, unless one is being made or tried: what is tried first may be a
        push that the peer never answers, so that the others do not wait for it for long."""
        wanted = (
            not self._connecting
            and not self.is_closed
            and len(self.connections) < self._origin.size
            and all(connection.is_proven or connection.is_slow for connection in self.connections)
        )
        if wanted:
            self._connecting = True
            gevent.spawn(self._connect)

    def _connect(self) -> None:
        origin = self._origin
        try:
            sock = origin.dialer.dial()
        except Exception as error:
            self._connecting = False
            if not self.connections:
                # They all fail at once, rather than after one connection attempt each.
                waiting, self._waiting = self._waiting, deque()
                for turn in waiting:
                    turn.set(error)
            return
        self._connecting = False
        if self.is_closed:
            sock.close()
            return
        connection = Connection(sock, max_response=origin.max_response, on_change=self._serve)
        self.connections.append(connection)
        self._serve()
