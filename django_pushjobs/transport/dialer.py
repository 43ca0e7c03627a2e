"""New connections to a host: all of its addresses are tried, each with a time limit of its own."""

from __future__ import annotations

import socket as sockets
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain, zip_longest
from typing import Any, Final

import gevent
from gevent import Timeout
from gevent.queue import Empty, Queue
from gevent.socket import getaddrinfo, socket
from gevent.ssl import SSLContext

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


class Dialer:
    """Makes connections to one host.

    :param connect_timeout: seconds to connect to one address, the TLS handshake included.
    :param tls: a context of :func:`~.tls.tls_context`, or None for plain TCP.
    :param resolve: looks up the host for every new connection; :meth:`dial` passes on what it
        raises.
    :param http2: the peer must agree on HTTP/2.
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
    ) -> None:
        self.host = host
        self.port = port
        self._connect_timeout = connect_timeout
        self._tls = tls
        self._resolve = resolve
        self._http2 = http2
        #: Address -> when it may be trusted again.
        self._distrusted: dict[Any, float] = {}

    def dial(self) -> socket:
        """Return a new connection to the first address that takes one.

        :raises OSError: no address does; a :class:`TimeoutError` if the first one that failed did
            so because it was too slow.
        """
        addresses = self._addresses()
        if len(addresses) == 1:
            return self._attempt(addresses[0])
        return self._race(addresses)

    def distrust(self, address: Any) -> None:
        """Try ``address`` after the others for some time."""
        self._distrusted[address] = time.monotonic() + DISTRUST

    def _addresses(self) -> list[Any]:
        look_up: Sequence[Any]
        if self._resolve is None:
            look_up = getaddrinfo(self.host, self.port, 0, sockets.SOCK_STREAM, sockets.SOL_TCP)
        else:
            look_up = self._resolve(self.host, self.port)
        found = _alternating(list(dict.fromkeys(look_up)))
        if not found:
            raise OSError("the host has no address")
        if self._distrusted:
            now = time.monotonic()
            distrusted = self._distrusted.copy()  # other threads dial as well
            self._distrusted = {one: until for one, until in distrusted.items() if until > now}
            found.sort(key=lambda info: self._distrusted.get(info[-1], 0.0))
        return found

    def _attempt(self, info: Any, connected: Callable[[], None] | None = None) -> socket:
        """Connect to one address.

        :param connected: called before the handshake.
        """
        family, kind, protocol, _, address = info
        limit = Timeout.start_new(self._connect_timeout)
        sock: socket | None = None
        try:
            sock = socket(family, kind, protocol)
            sock.connect(address)
            for level, option, value in _OPTIONS:
                sock.setsockopt(level, option, value)
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
                self.distrust(address)
            if error is limit:
                raise TimeoutError("the address did not take the connection in time") from None
            raise
        finally:
            limit.close()
        self._distrusted.pop(address, None)
        return sock

    def _race(self, addresses: Sequence[Any]) -> socket:
        """Try one address after the other without waiting long for any (RFC 8305, section 5)."""
        waiting = deque(addresses)
        results: Queue[tuple[Any, socket | Exception | None]] = Queue()
        is_over = False

        def attempt(info: Any) -> None:
            try:
                sock = self._attempt(info, lambda: results.put((info, None)))
            except Exception as error:
                results.put((info, error))
            else:
                sock.close() if is_over else results.put((info, sock))

        attempts: dict[Any, Any] = {}
        errors: list[Exception] = []
        next_at = 0.0
        try:
            while len(errors) < len(addresses):
                if waiting and time.monotonic() >= next_at:
                    info = waiting.popleft()
                    attempts[info] = gevent.spawn(attempt, info)
                    next_at = time.monotonic() + STAGGER
                pause = max(0.0, next_at - time.monotonic()) if waiting else None
                try:
                    info, result = results.get(timeout=pause)
                except Empty:
                    continue
                if result is None:
                    next_at = time.monotonic() + HANDSHAKE_STAGGER
                elif isinstance(result, Exception):
                    errors.append(result)
                    next_at = 0.0
                else:
                    started = list(attempts)
                    for slow in started[: started.index(info)]:
                        self.distrust(slow[-1])
                    return result
        finally:
            is_over = True
            gevent.killall(list(attempts.values()), block=False)
            while not results.empty():
                _, left = results.get_nowait()
                if isinstance(left, socket):
                    left.close()
        raise errors[0]


def _alternating(addresses: list[Any]) -> list[Any]:
    """Return IPv6 and IPv4 by turns (RFC 8305, section 4), beginning with the first's family."""
    first = [info for info in addresses if info[0] == addresses[0][0]]
    others = [info for info in addresses if info[0] != addresses[0][0]]
    pairs = chain.from_iterable(zip_longest(first, others))
    return [info for info in pairs if info is not None]
