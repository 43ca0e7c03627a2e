"""Keep-alive connections to one HTTP origin, shared by all greenlets of a process."""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from select import POLLIN
from typing import Any, Final
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from gevent import get_hub
from gevent.lock import BoundedSemaphore
from gevent.monkey import get_original
from gevent.socket import socket
from gevent.ssl import SSLContext

from .dialer import Dialer, Resolve
from .failures import ConnectionLost
from .proxy import proxy_for
from .responses import NotAnAnswer, Response
from .tls import tls_context
from .tls_socket import TLSSocket

#: Seconds; shorter than what common servers, load balancers and NATs allow.
KEEP_ALIVE: Final = 30.0

_poll = get_original("select", "poll")


class Connections:
    """Connections to the origin of ``url``, made on demand and kept alive.

    The certificate of an https origin is always verified. Only connecting has a time limit here;
    :func:`.exchanges.exchange` limits the whole exchange. All of this works with and without
    gevent's monkey patch, because sockets and TLS are gevent's own.

    :param url: http or https. Only its origin and its path are used.
    :param size: maximum number of connections; further posts wait for a free one.
    :param connect_timeout: seconds to connect to one address of the host, see :class:`.Dialer`.
    :param keep_alive: seconds that a connection may idle before it is used again; less if the peer
        announces so in ``Keep-Alive``.
    :param ca_file: PEM file with the authorities to trust instead of the system's.
    :param resolve: looks up the host for every new connection, such as
        :func:`~.destinations.resolve` for a URL that somebody else chose; :meth:`post` passes on
        what it raises.
    :param tls: a context of :func:`~.tls.tls_context` that several instances share, instead of
        ``ca_file``.
    :param proxy: URL of the proxy to go through, or ``"environment"``, see :mod:`.proxy`.
    :raises ValueError: ``url`` cannot be posted to, ``ca_file`` contains no certificates, or
        ``proxy`` is wrong.
    """

    def __init__(
        self,
        url: str,
        *,
        size: int,
        connect_timeout: float,
        keep_alive: float = KEEP_ALIVE,
        ca_file: str | None = None,
        resolve: Resolve | None = None,
        tls: SSLContext | None = None,
        proxy: str | None = None,
    ) -> None:
        if not isinstance(url, str):
            raise ValueError("url must be a string")
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("url must start with http:// or https:// and name a host")
        if parts.username is not None or parts.password is not None:
            raise ValueError("url must not contain a user name or a password: use headers")
        if not (url.isascii() and url.isprintable()) or " " in url:
            raise ValueError("url must consist of printable ASCII characters without spaces")
        is_tls = parts.scheme == "https"
        self.host = parts.hostname
        self.port = parts.port or (443 if is_tls else 80)
        #: For the request line and for the header Host.
        self.path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self.authority = parts.netloc
        self._size = size
        self._keep_alive = keep_alive
        self._dialer = Dialer(
            self.host,
            self.port,
            connect_timeout=connect_timeout,
            tls=(tls or tls_context(ca_file)) if is_tls else None,
            resolve=resolve,
            proxy=proxy_for(proxy, scheme=parts.scheme, host=self.host, port=self.port),
        )
        # One pool per hub, that is per native thread: a socket waits in the hub that made it.
        self._pools: WeakKeyDictionary[Any, _Pool] = WeakKeyDictionary()

    def post(self, request: bytes, *, idempotent: bool = False) -> Response:
        """Send ``request``, head and body, and return the response once its headers have arrived.

        A peer may close a connection at the moment we use it again. If it turns out to be closed
        before a byte of the answer, nothing was sent or the request is ``idempotent``, then it is
        sent over a new connection, once. The other idle ones are closed: what ended one, such as a
        restart or a NAT that forgot its flows, usually ended them all.

        The caller must read the response and ``release()`` it; if this raises, the connection has
        already been given back.

        :param idempotent: the peer recognizes the request if it comes a second time.
        :raises OSError: the origin could not be reached; a :class:`.failures.ConnectionLost` if the
            connection ended before an answer.
        :raises geventhttpclient.response.HTTPParseError: the answer is not HTTP, is missing, or
            has more than :data:`.responses.MAX_HEAD` bytes of headers.
        """
        pool = self._pool()
        sock, reused = pool.take()
        try:
            response = _send(request, sock, pool)
        except (ConnectionLost, NotAnAnswer) as error:
            if not reused:
                raise
            pool.empty()
            if isinstance(error, NotAnAnswer):
                pool.keep_alive = 0.0  # the peer writes more than its answers: no reuse
            untouched = isinstance(error, ConnectionLost) and not error.sent
            if not (untouched or (idempotent and not error.begun)):
                raise
        else:
            # RFC 9110, section 15.5.9: it has idled too long, and this is not about the request.
            if not (reused and idempotent and response.get_code() == 408):
                return response
            response.message_complete = False
            response.release()
            pool.empty()
        sock, _ = pool.take(fresh=True)
        return _send(request, sock, pool)

    def close(self) -> None:
        """Close the idle connections; those in use are closed once they are given back."""
        pools, self._pools = list(self._pools.values()), WeakKeyDictionary()
        for pool in pools:
            pool.close()

    def _pool(self) -> _Pool:
        hub = get_hub()
        pool = self._pools.get(hub)
        if pool is None:
            pool = self._pools[hub] = _Pool(
                self._dialer, size=self._size, keep_alive=self._keep_alive
            )
        return pool


def _send(request: bytes, sock: socket, pool: _Pool) -> Response:
    """Send ``request`` and read the head of the answer. Whatever happens, ``pool`` gets ``sock``
    back: now if this raises, or from the response."""
    sent = 0
    try:
        # Usually sends all of it. sendall() would ask for the size of the buffer first.
        if (sent := sock.send(request)) < len(request):
            sock.sendall(memoryview(request)[sent:])
    except (BrokenPipeError, ConnectionResetError):
        pass  # an early answer, such as 413, may be waiting to be read
    except OSError as error:
        pool.release_socket(sock)
        raise ConnectionLost(sent=sent > 0) from error
    except BaseException:
        pool.release_socket(sock)
        raise
    try:
        return Response(sock, pool)
    except ConnectionLost as lost:
        lost.sent = sent > 0
        raise


class _Pool:
    """The connections of one hub: those that are idle, the last used last, and slots for all."""

    def __init__(self, dialer: Dialer, *, size: int, keep_alive: float) -> None:
        self._dialer = dialer
        self.keep_alive = keep_alive
        self._slots = BoundedSemaphore(size)
        #: With the time until which each may be used.
        self._idle: deque[tuple[float, socket]] = deque()
        self._closed = False

    def take(self, *, fresh: bool = False) -> tuple[socket, bool]:
        """Wait for a slot, and return a connection and whether it has been used before."""
        self._slots.acquire()
        try:
            while self._idle and not fresh:
                until, sock = self._idle.pop()
                if time.monotonic() < until and _is_alive(sock):
                    return sock, True
                sock.close()
            return self._dialer.dial(), False
        except BaseException:
            self._slots.release()
            raise

    def return_socket(self, sock: socket, limit: float | None = None) -> None:
        """Take back a connection that can be used again.

        :param limit: seconds that the peer keeps it open.
        """
        now = time.monotonic()
        age = self.keep_alive if limit is None else min(self.keep_alive, limit)
        if self._closed or age <= 0:
            sock.close()
        else:
            self._idle.append((now + age, sock))
            if self._idle[0][0] < now:
                self._idle.popleft()[1].close()
        self._slots.release()

    def release_socket(self, sock: socket) -> None:
        """Close a connection that cannot be used again."""
        sock.close()
        self._slots.release()

    def empty(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop()[1].close()

    def close(self) -> None:
        self._closed = True
        self.empty()


def _is_alive(sock: socket) -> bool:
    """Return True for an idle connection that the peer has neither closed nor written to.

    select() cannot take descriptors above 1023.
    """
    if isinstance(sock, TLSSocket) and sock.unread:
        return False
    with suppress(OSError):
        poll = _poll()
        poll.register(sock.fileno(), POLLIN)
        return not poll.poll(0)
    return False
