"""Keep-alive connections to a bounded number of origins that others have chosen."""

from __future__ import annotations

from collections import OrderedDict
from functools import cached_property, partial
from threading import Lock

from gevent.ssl import SSLContext

from . import destinations
from .connections import Connections
from .lookups import Lookup
from .proxy import proxy_for
from .tls import tls_context


class Origins:
    """The :class:`~.connections.Connections` of each origin, made on demand.

    Others chose the origins, so :func:`~.destinations.resolve` checks every new connection. If
    there are more than ``size`` origins, the least recently used one loses its idle connections.

    :param size: maximum number of origins.
    :param connections: maximum number of connections to one origin; further posts wait for one.
    :param connect_timeout: seconds to connect to one address of a host.
    :param ca_file: PEM file with the authorities to trust instead of the system's.
    :param lookup: see :func:`~.destinations.resolve`.
    :param proxy: URL of the proxy to go through, or ``"environment"``, see :mod:`.proxy`. It is
        given addresses that have been checked.
    :raises ValueError: ``ca_file`` cannot be read or contains no certificates, or ``proxy`` is
        wrong.
    """

    def __init__(
        self,
        *,
        size: int,
        connections: int,
        connect_timeout: float,
        ca_file: str | None = None,
        lookup: Lookup | None = None,
        proxy: str | None = None,
    ) -> None:
        self._size = size
        self._connections = connections
        self._connect_timeout = connect_timeout
        self._ca_file = ca_file
        self._proxy = proxy
        self._resolve = partial(destinations.resolve, lookup=lookup)
        # Nothing waits while it holds this.
        self._lock = Lock()
        self._kept: OrderedDict[str, Connections] = OrderedDict()
        # What is wrong is an error here and now.
        if ca_file is not None:
            _ = self._tls
        proxy_for(proxy, scheme="https", host="", port=443)

    @cached_property
    def _tls(self) -> SSLContext:
        """One for all origins: loading the authorities takes milliseconds."""
        return tls_context(self._ca_file)

    def __getitem__(self, origin: str) -> Connections:
        """Return the connections to ``origin``, such as ``https://push.example``."""
        surplus = None
        with self._lock:
            kept = self._kept.get(origin)
            if kept is None:
                kept = self._kept[origin] = Connections(
                    origin,
                    size=self._connections,
                    connect_timeout=self._connect_timeout,
                    resolve=self._resolve,
                    tls=self._tls if origin.startswith("https:") else None,
                    proxy=self._proxy,
                )
                if len(self._kept) > self._size:
                    _, surplus = self._kept.popitem(last=False)
            else:
                self._kept.move_to_end(origin)
        if surplus is not None:
            surplus.close()
        return kept

    def __len__(self) -> int:
        return len(self._kept)

    def close(self) -> None:
        """Close the idle connections; those in use are closed once they are given back."""
        with self._lock:
            kept, self._kept = list(self._kept.values()), OrderedDict()
        for connections in kept:
            connections.close()
