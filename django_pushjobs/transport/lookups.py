"""Looking up names that others chose, so that those which nobody answers do not hold up the rest.

The system's resolver waits for a name server for ten seconds and more, and a thread that waits
there cannot be interrupted. So such names have threads of their own, and the names in our settings
never wait for these; whoever asks leaves after :data:`DEADLINE` seconds; and a name that a thread
is waiting for already is not asked for a second time. Names that nobody has seen yet may hold only
a part of the threads, and so may the names that one client chose, and those of one domain.

What was found is kept for a moment. That does no harm: whoever connects checks the addresses that
he was given, and connects to one of them (see :mod:`.destinations`).
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from ipaddress import ip_address
from typing import Any, Final

from gevent.monkey import get_original
from gevent.threadpool import ThreadPool

from ..runtime.greenlets import cooperative
from ..runtime.processes import PerProcess

#: What ``socket.getaddrinfo`` returns for one address: family, type, protocol, name, address.
AddressInfo = tuple[Any, Any, int, str, Any]
#: Takes host and port and returns addresses, like ``socket.getaddrinfo``.
Lookup = Callable[..., Sequence[AddressInfo]]

#: Seconds that a caller waits for a name, for a free thread included.
DEADLINE: Final = 2.0
#: The most threads of a process that look up names.
THREADS: Final = 32
#: How many of them are kept for names that were found before.
RESERVED: Final = 8
#: How many of them may look up names for one client, and names of one domain such as those below
#: ``example.org``.
PER_CLIENT: Final = 8
PER_DOMAIN: Final = 8
#: Seconds for which the addresses of a name are used again.
FRESH: Final = 5.0
#: Seconds for which a name fails at once after it has failed, or was not answered in time. The
#: second attempt at a callback, after five seconds, asks again.
FAILED: Final = 4.0
#: The most names that are remembered, and the most that have failed.
REMEMBERED: Final = 1_000


#: On whose behalf names are looked up: the key of a client, or anything else that has a share.
client: ContextVar[object] = ContextVar("django_pushjobs.transport.lookups.client", default=None)


class _Flight:
    """A name that a thread is looking up, and who waits for it."""

    __slots__ = ("client", "domain", "ended", "error", "found", "host")

    def __init__(self, host: str, client: object) -> None:
        self.host = host
        self.client = client
        self.domain = _domain_of(host)
        self.ended = threading.Event()
        self.found: Sequence[AddressInfo] = ()
        self.error = ""


class Lookups:
    """Calls like ``socket.getaddrinfo``, of many greenlets or threads.

    :param ask: called in a thread instead of ``socket.getaddrinfo``.
    :param deadline: seconds that a caller waits.
    """

    def __init__(self, ask: Lookup | None = None, *, deadline: float = DEADLINE) -> None:
        self._given = ask
        self._deadline = deadline
        #: A pool for each native thread with an event loop; usually there is one.
        self._pools: Any = get_original("_thread", "_local")()
        #: Held while what follows is read or changed; told when a thread is free.
        self._room = threading.Condition()
        self._flights: dict[str, _Flight] = {}
        #: Name -> until when they are fresh, and its addresses; the one found longest ago first.
        self._found: dict[str, tuple[float, Sequence[AddressInfo]]] = {}
        #: Name -> until when it fails at once, and why; the oldest failure first.
        self._failed: dict[str, tuple[float, OSError]] = {}

    def __call__(self, host: str, port: int, **options: Any) -> list[AddressInfo]:
        """Return the addresses of ``host`` for connections over TCP.

        :param options: ``type`` must be ``SOCK_STREAM``, for which this asks anyway.
        :raises OSError: it has none; a :class:`TimeoutError` if that was not found out in time.
        """
        if _is_address(host):
            return list(self._ask(host, port))
        name = host.lower()
        found = self._remembered(name)
        if found is None:
            found = self._wait_for(name)
        return [(*info, (address[0], port, *address[2:])) for *info, address in found]

    def _remembered(self, name: str) -> Sequence[AddressInfo] | None:
        now = time.monotonic()
        with self._room:
            until, found = self._found.get(name, (0.0, ()))
            if until > now:
                return found
            failed_until, error = self._failed.get(name, (0.0, None))
            if error is None or failed_until <= now:
                return None
        raise type(error)(*error.args)

    def _wait_for(self, name: str) -> Sequence[AddressInfo]:
        ends_at, mine = time.monotonic() + self._deadline, client.get()
        with self._room:
            if not self._room.wait_for(lambda: self._may_ask(name, mine), self._deadline):
                raise TimeoutError("too many names are being looked up")
            flight = self._flights.get(name)
            if flight is None:
                flight = _Flight(name, mine)
                threading.Thread(target=self._fly, args=(flight,), daemon=True).start()
                # Only now, since a thread may not start; it cannot end before we leave the lock.
                self._flights[name] = flight
        if not flight.ended.wait(max(0.0, ends_at - time.monotonic())):
            error = TimeoutError("the name was not answered in time")
            with self._room:
                if not flight.ended.is_set():
                    self._fail(name, error)
            raise error
        if flight.error:
            raise socket.gaierror(socket.EAI_NONAME, flight.error)
        return flight.found

    def _may_ask(self, name: str, client: object) -> bool:
        """Return whether a thread is looking up ``name``, or may do so."""
        flights = self._flights.values()
        if name in self._flights or not flights:
            return True
        domain = _domain_of(name)
        return (
            len(flights) < (THREADS if name in self._found else THREADS - RESERVED)
            and sum(flight.domain == domain for flight in flights) < PER_DOMAIN
            and (client is None or sum(flight.client == client for flight in flights) < PER_CLIENT)
        )

    def _fly(self, flight: _Flight) -> None:
        """Look up a name in a thread, however long that takes."""
        try:
            if cooperative():
                # This is a greenlet, which has a native thread do it.
                flight.found = list(self._pool().apply(self._ask, (flight.host, 0)))
            else:
                flight.found = list(self._ask(flight.host, 0))
        except Exception as error:
            flight.error = str(error) or type(error).__name__
        if not flight.found and not flight.error:
            flight.error = "it has no address"
        with self._room:
            self._flights.pop(flight.host, None)
            if flight.error:
                self._fail(flight.host, socket.gaierror(socket.EAI_NONAME, flight.error))
            else:
                self._failed.pop(flight.host, None)
                _keep(self._found, flight.host, (time.monotonic() + FRESH, flight.found))
            flight.ended.set()
            self._room.notify_all()

    def _fail(self, name: str, error: OSError) -> None:
        _keep(self._failed, name, (time.monotonic() + FAILED, error))

    def _ask(self, host: str, port: int) -> Sequence[AddressInfo]:
        ask: Lookup = self._given or get_original("socket", "getaddrinfo")
        return ask(host, port, type=socket.SOCK_STREAM)

    def _pool(self) -> ThreadPool:
        pool: ThreadPool | None = getattr(self._pools, "pool", None)
        if pool is None:
            pool = self._pools.pool = ThreadPool(THREADS)
        return pool


def _keep(names: dict[str, Any], name: str, value: Any) -> None:
    names.pop(name, None)
    names[name] = value
    if len(names) > REMEMBERED:
        del names[next(iter(names))]


def _domain_of(name: str) -> str:
    return ".".join(name.rstrip(".").split(".")[-2:])


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


#: The lookups of this process.
lookups = PerProcess(Lookups)
