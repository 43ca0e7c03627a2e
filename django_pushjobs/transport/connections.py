"""Keep-alive connections to one HTTP origin, shared by all greenlets of a process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from select import POLLIN
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from gevent import get_hub
from gevent.monkey import get_original
from gevent.socket import socket
from gevent.ssl import SSLContext
from geventhttpclient.connectionpool import ConnectionPool

from .responses import Response
from .tls import tls_context

#: Takes host and port and returns what ``socket.getaddrinfo`` returns.
Resolve = Callable[[str, int], Sequence[Any]]

_poll = get_original("select", "poll")


class Connections:
    """Connections to the origin of ``url``, made on demand and kept alive.

    The certificate of an https origin is always verified. Only connecting has a time limit here;
    :func:`.exchanges.exchange` limits the whole exchange. All of this works with and without
    gevent's monkey patch, because sockets and TLS are gevent's own.

    :param url: http or https. Only its origin and its path are used.
    :param size: maximum number of connections; further posts wait for a free one.
    :param connect_timeout: seconds to connect to one address of the host.
    :param ca_file: PEM file with the authorities to trust instead of the system's.
    :param resolve: looks up the host for every new connection, such as
        :func:`~.destinations.resolve` for a URL that somebody else chose; :meth:`post` passes on
        what it raises.
    :param tls: a context of :func:`~.tls.tls_context` that several instances share, instead of
        ``ca_file``.
    :raises ValueError: ``url`` cannot be posted to, or ``ca_file`` contains no certificates.
    """

    def __init__(
        self,
        url: str,
        *,
        size: int,
        connect_timeout: float,
        ca_file: str | None = None,
        resolve: Resolve | None = None,
        tls: SSLContext | None = None,
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
        self._connect_timeout = connect_timeout
        self._resolve = resolve
        self._tls = (tls or tls_context(ca_file)) if is_tls else None
        # One pool per hub, that is per native thread: a socket waits in the hub that made it.
        self._pools: WeakKeyDictionary[Any, ConnectionPool] = WeakKeyDictionary()

    def post(self, request: bytes) -> Response:
        """Send ``request``, head and body, and return the response once its headers have arrived.

        The request is never sent twice. The caller must read the response and ``release()`` it; if
        this raises, the connection has already been given back.

        :raises OSError: the origin could not be reached, or the connection was lost.
        :raises geventhttpclient.response.HTTPParseError: the answer is not HTTP, is missing, or
            has more than :data:`.responses.MAX_HEAD` bytes of headers.
        """
        pool = self._pool()
        sock = pool.get_socket()
        try:
            # Usually sends all of it. sendall() would ask for the size of the buffer first.
            if (sent := sock.send(request)) < len(request):
                sock.sendall(memoryview(request)[sent:])
        except (BrokenPipeError, ConnectionResetError):
            pass  # an early answer, such as 413, may be waiting to be read
        except BaseException:
            pool.release_socket(sock)
            raise
        return Response(sock, pool, method="POST")

    def close(self) -> None:
        """Close the idle connections; those in use are closed once they are given back."""
        pools, self._pools = list(self._pools.values()), WeakKeyDictionary()
        for pool in pools:
            pool.close()

    def _pool(self) -> ConnectionPool:
        hub = get_hub()
        pool = self._pools.get(hub)
        if pool is None:
            pool = self._pools[hub] = self._new_pool()
        return pool

    def _new_pool(self) -> ConnectionPool:
        return _Pool(
            *(self.host, self.port, self.host, self.port),
            tls=self._tls,
            resolve=self._resolve,
            size=self._size,
            connection_timeout=self._connect_timeout,
            network_timeout=None,
        )


class _Pool(ConnectionPool):
    """The library's pool, with three steps of its own."""

    def __init__(
        self, *address: Any, tls: SSLContext | None, resolve: Resolve | None, **limits: Any
    ) -> None:
        super().__init__(*address, **limits)
        self._tls = tls
        self._look_up = resolve

    def _resolve(self) -> Any:
        if self._look_up is None:
            return super()._resolve()
        return self._look_up(self._connection_host, self._connection_port)

    def _connect_socket(self, sock: socket, address: Any) -> socket:
        sock = super()._connect_socket(sock, address)
        if self._tls is None:
            return sock
        # Two steps: if one did both, an interrupt during the handshake would leak the socket.
        sock = self._tls.wrap_socket(
            sock, server_hostname=self._request_host, do_handshake_on_connect=False
        )
        try:
            sock.do_handshake()
        except BaseException:
            sock.close()
            raise
        return sock

    def _is_socket_alive(self, sock: socket | None) -> bool:
        """Return True for an idle connection that the peer has neither closed nor written to.

        The library uses select(), which cannot take descriptors above 1023: in a process that has
        more, it would consider every connection dead.
        """
        if sock is None or sock.fileno() < 0:
            return False
        with suppress(OSError):
            poll = _poll()
            poll.register(sock.fileno(), POLLIN)
            return not poll.poll(0)
        return False
