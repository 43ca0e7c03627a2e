"""New connections to a host: all of its addresses are tried, each with a time limit of its own."""

from __future__ import annotations

import socket as sockets
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain, zip_longest
from typing import Any, Final, NamedTuple

import gevent
from gevent import Timeout
from gevent.queue import Empty, Queue
from gevent.socket import getaddrinfo, socket
from gevent.ssl import SSLContext

from .failures import ProxyFailed
from .proxy import Proxy, authority

#: Takes host and port and returns what ``socket.getaddrinfo`` returns.
Resolve = Callable[[str, int], Sequence[Any]]

#: Seconds that an address has for itself before the next one is tried as well (RFC 8305,
#: section 8), and the same once it has taken the connection but has not finished the handshake.
STAGGER: Final = 0.25
HANDSHAKE_STAGGER: Final = 1.0
#: Seconds that an address which failed is tried after the others.
DISTRUST: Final = 60.0
#: Milliseconds until a connection is lost on which the peer's host acknowledges nothing (RFC 5482).
USER_TIMEOUT: Final = 3_000
#: Seconds until an idle connection is probed, and between probes.
PROBE_AFTER, PROBE_INTERVAL = 15, 5

_OPTIONS: Final = (
    (sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1),
    (sockets.SOL_SOCKET, sockets.SO_KEEPALIVE, 1),
    *(
        (sockets.IPPROTO_TCP, getattr(sockets, name), value)
        for name, value in (
            ("TCP_KEEPIDLE", PROBE_AFTER),
            ("TCP_KEEPINTVL", PROBE_INTERVAL),
            ("TCP_USER_TIMEOUT", USER_TIMEOUT),
        )
        if hasattr(sockets, name)  # Linux has them all
    ),
)


class Route(NamedTuple):
    """A way to a host.

    :param info: the address to connect to, as ``socket.getaddrinfo`` returns it.
    :param target: where the proxy at that address is to lead, or None if it is the host itself.
    """

    info: Any
    target: str | None = None

    @property
    def address(self) -> Any:
        return self.info[-1]


class Dialer:
    """Makes connections to one host.

    :param connect_timeout: seconds to connect to one address, the tunnel through a proxy and the
        TLS handshake included.
    :param tls: a context of :func:`~.tls.tls_context`, or None for plain TCP.
    :param resolve: looks up the host for every new connection; :meth:`dial` passes on what it
        raises.
    :param http2: the peer must agree on HTTP/2.
    :param proxy: leads to the host. It looks up the name itself, unless there is a ``resolve``:
        then it is given an address, so that it connects to none but what was returned.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        connect_timeout: float,
        tls: SSLContext | None,
        resolve: Resolve | None = None,
        http2: bool = False,
        proxy: Proxy | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self._connect_timeout = connect_timeout
        self._tls = tls
        self._resolve = resolve
        self._http2 = http2
        self._proxy = proxy
        #: Address or route -> when it may be trusted again.
        self._distrusted: dict[Any, float] = {}

    def dial(self) -> socket:
        """Return a new connection to the first address that takes one.

        :raises OSError: no address does; a :class:`TimeoutError` if the first one that failed did
            so because it was too slow, and a :class:`.ProxyFailed` if that is the proxy's doing.
        """
        routes = self._routes()
        if len(routes) == 1:
            return self._attempt(routes[0])
        return self._race(routes)

    def distrust(self, address: Any) -> None:
        """Try ``address`` after the others for some time."""
        self._distrusted[address] = time.monotonic() + DISTRUST

    def _routes(self) -> list[Route]:
        """Return all ways to the host; last those that failed lately."""
        if self._proxy is None:
            found = [Route(info) for info in self._addresses()]
        else:
            if self._resolve is None:
                targets = [authority(self.host, self.port)]
            else:
                targets = [authority(*info[-1][:2]) for info in self._addresses()]
            try:
                proxies = _distinct(_look_up(self._proxy.host, self._proxy.port))
            except sockets.gaierror as error:
                raise ProxyFailed from error
            found = [Route(info, target) for target in targets for info in proxies]
        if not found:
            raise OSError("the host has no address")
        if self._distrusted:
            now = time.monotonic()
            distrusted = self._distrusted.copy()  # other threads dial as well
            self._distrusted = {one: until for one, until in distrusted.items() if until > now}
            trusted_at = self._distrusted.get
            found.sort(
                key=lambda route: max(trusted_at(route, 0.0), trusted_at(route.address, 0.0))
            )
        return found

    def _addresses(self) -> list[Any]:
        return _distinct((self._resolve or _look_up)(self.host, self.port))

    def _attempt(self, route: Route, connected: Callable[[], None] | None = None) -> socket:
        """Connect by one route.

        :param connected: called before the tunnel, and before the handshake.
        """
        family, kind, protocol, _, address = route.info
        limit = Timeout.start_new(self._connect_timeout)
        sock: socket | None = None
        try:
            sock = socket(family, kind, protocol)
            try:
                sock.connect(address)
                for level, option, value in _OPTIONS:
                    sock.setsockopt(level, option, value)
                if self._proxy is not None and route.target is not None:
                    if connected is not None:
                        connected()
                    self._proxy.tunnel(sock, route.target)
            except OSError as error:
                if self._proxy is None or error.errno is None:  # a timer of the caller has none
                    raise
                raise ProxyFailed from error
            if self._tls is not None:
                if connected is not None:
                    connected()
                # Two steps: if one did both, an interrupt during the handshake would leak it.
                sock = self._tls.wrap_socket(
                    sock, server_hostname=self.host, do_handshake_on_connect=False
                )
                sock.do_handshake()
                if self._http2 and sock.selected_alpn_protocol() != "h2":
                    raise ConnectionError("the host does not speak HTTP/2")
        except BaseException as error:
            if sock is not None:
                sock.close()
            if error is limit or isinstance(error, OSError):
                self.distrust(route)
            if error is limit:
                raise TimeoutError("the address did not take the connection in time") from None
            raise
        finally:
            limit.close()
        self._distrusted.pop(route, None)
        self._distrusted.pop(address, None)
        return sock

    def _race(self, routes: Sequence[Route]) -> socket:
        """Try one route after the other without waiting long for any (RFC 8305, section 5)."""
        waiting = deque(routes)
        results: Queue[tuple[Route, socket | Exception | None]] = Queue()
        is_over = False

        def attempt(route: Route) -> None:
            try:
                sock = self._attempt(route, lambda: results.put((route, None)))
            except Exception as error:
                results.put((route, error))
            else:
                sock.close() if is_over else results.put((route, sock))

        attempts: dict[Route, Any] = {}
        errors: list[Exception] = []
        next_at = 0.0
        try:
            while len(errors) < len(routes):
                if waiting and time.monotonic() >= next_at:
                    route = waiting.popleft()
                    attempts[route] = gevent.spawn(attempt, route)
                    next_at = time.monotonic() + STAGGER
                pause = max(0.0, next_at - time.monotonic()) if waiting else None
                try:
                    route, result = results.get(timeout=pause)
                except Empty:
                    continue
                if result is None:
                    next_at = time.monotonic() + HANDSHAKE_STAGGER
                elif isinstance(result, Exception):
                    errors.append(result)
                    next_at = 0.0
                else:
                    started = list(attempts)
                    for slow in started[: started.index(route)]:
                        self.distrust(slow)
                    return result
        finally:
            is_over = True
            gevent.killall(list(attempts.values()), block=False)
            while not results.empty():
                _, left = results.get_nowait()
                if isinstance(left, socket):
                    left.close()
        raise errors[0]


def _look_up(host: str, port: int) -> Sequence[Any]:
    return getaddrinfo(host, port, 0, sockets.SOCK_STREAM, sockets.SOL_TCP)


def _distinct(addresses: Sequence[Any]) -> list[Any]:
    """Return each once, IPv6 and IPv4 by turns (RFC 8305, section 4), beginning with the first's
    family."""
    once = list(dict.fromkeys(addresses))
    first = [info for info in once if info[0] == once[0][0]]
    others = [info for info in once if info[0] != once[0][0]]
    pairs = chain.from_iterable(zip_longest(first, others))
    return [info for info in pairs if info is not None]
