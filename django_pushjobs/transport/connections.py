"""Kept-alive connections to one HTTP origin, shared by all greenlets of a process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from select import POLLIN
from ssl import PROTOCOL_TLS_CLIENT
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from gevent import get_hub
from gevent.monkey import get_original
from gevent.socket import socket
from gevent.ssl import SSLContext
from geventhttpclient.connectionpool import ConnectionPool
from geventhttpclient.response import HTTPParseError, HTTPSocketPoolResponse

#: Host and port to what ``socket.getaddrinfo`` returns.
Resolve = Callable[[str, int], Sequence[Any]]

#: Bytes that the status line and the headers of an answer may have.
MAX_HEAD = 65_536

_poll = get_original("select", "poll")


class Connections:
    """Connections to the origin of ``url``, made when they are needed and kept alive.

    The certificate of an https origin is always verified. Nothing here has a time limit but the
    connecting: the caller sets one with :class:`gevent.Timeout`. It works with and without
    gevent's monkey patch, because sockets and TLS are gevent's own.

    :param url: http or https. Only its origin and its path are used.
    :param size: connections at most; further posts wait for one.
    :param connect_timeout: seconds to connect to one address of the host.
    :param ca_file: PEM file with the authorities to trust instead of the system's.
    :param resolve: looks the host up at every connect, such as
        :func:`~.destinations.resolve` for a URL that somebody else chose; what it
        raises comes out of :meth:`post`.
    :param tls: made by :func:`tls_context`, to be shared by many instead of ``ca_file``.
    :raises ValueError: ``url`` is not one that can be posted to, or ``ca_file`` holds no
        certificates.
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
            raise ValueError("url must begin with http:// or https:// and name a host")
        if parts.username is not None or parts.password is not None:
            raise ValueError("url may not hold a user name or a password: use headers")
        if not (url.isascii() and url.isprintable()) or " " in url:
            raise ValueError("url may not hold blanks, control or non-ASCII characters")
        is_tls = parts.scheme == "https"
        self.host = parts.hostname
        self.port = parts.port or (443 if is_tls else 80)
        #: What stands in the request line and in the header Host.
        self.path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self.authority = parts.netloc
        self._size = size
        self._connect_timeout = connect_timeout
        self._resolve = resolve
        self._tls = (tls or tls_context(ca_file)) if is_tls else None
        # One pool a hub, which is one a native thread: a socket waits in the hub that made it.
        self._pools: WeakKeyDictionary[Any, ConnectionPool] = WeakKeyDictionary()

    def post(self, request: bytes) -> HTTPSocketPoolResponse:
        """Send ``request``, head and body, and return the response once its headers are here.

        The request is never sent twice. Whatever is raised, the connection has been given back
        by then; the caller must read the response and ``release()`` it.

        :raises OSError: the origin could not be reached, or the connection was lost.
        :raises geventhttpclient.response.HTTPParseError: the answer is not HTTP, has more than
            :data:`MAX_HEAD` bytes of headers, or none came.
        """
        pool = self._pool()
        sock = pool.get_socket()
        try:
            # As a rule all of it at once. sendall() asks for the size of a buffer first.
            if (sent := sock.send(request)) < len(request):
                sock.sendall(memoryview(request)[sent:])
        except (BrokenPipeError, ConnectionResetError):
            pass  # an early answer, such as 413, may be waiting to be read
        except BaseException:
            pool.release_socket(sock)
            raise
        return _Response(sock, pool, method="POST")

    def close(self) -> None:
        """Close the idle connections; those in use are closed when they are given back."""
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


class _Response(HTTPSocketPoolResponse):
    """The library's response, whose headers come to an end."""

    _head_size = 0

    def feed(self, data: Any) -> None:
        if not self.headers_complete or self.get_code() < 200:
            self._head_size += len(data)
            if self._head_size > MAX_HEAD + self.block_size:
                raise HTTPParseError("the headers are too long")
        super().feed(data)


class _Pool(ConnectionPool):
    """The library's pool, with three of its steps done with more care."""

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
        # Not in one step: an interrupt during the handshake would leave the socket open.
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
        """Return True for an idle connection that the other side has neither closed nor used.

        The library asks select(), which knows no descriptor above 1023: a process with more
        would take every connection for dead.
        """
        if sock is None or sock.fileno() < 0:
            return False
        with suppress(OSError):
            poll = _poll()
            poll.register(sock.fileno(), POLLIN)
            return not poll.poll(0)
        return False


def check_limits(**limits: Any) -> None:
    """Make sure that each of the options is a number above 0.

    :raises ValueError: one is not; the message names it.
    """
    for name, value in limits.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
            raise ValueError(f"{name} must be a number above 0")


def tls_context(ca_file: str | None) -> SSLContext:
    """Return a context that verifies the certificate and the host name.

    gevent's own class: unless gevent has patched the process, ``ssl.create_default_context()``
    makes sockets that block the whole thread.
    """
    context = SSLContext(PROTOCOL_TLS_CLIENT)
    if ca_file is None:
        context.load_default_certs()
    else:
        try:
            context.load_verify_locations(cafile=ca_file)
        except OSError as error:
            raise ValueError(f"ca_file cannot be read: {error}") from error
    return context
