"""Kept-alive connections to many origins, within bounds."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from . import destinations
from .connections import Connections, tls_context


class Origins:
    """The :class:`~.connections.Connections` of every origin, made when they are needed.

    Somebody else chose the origins, so each connection is made by
    :func:`~.destinations.resolve`. Where there are more origins than ``size``, the
    one that was not used for the longest time loses its idle connections.

    :param size: origins that are kept, at most.
    :param connections: connections to one origin, at most; further posts wait for one.
    :param connect_timeout: seconds to connect to one address of a host.
    :param ca_file: PEM file with the authorities to trust instead of the system's.
    :raises ValueError: ``ca_file`` holds no certificates.
    """

    def __init__(
        self, *, size: int, connections: int, connect_timeout: float, ca_file: str | None = None
    ) -> None:
        self._size = size
        self._connections = connections
        self._connect_timeout = connect_timeout
        self._tls = tls_context(ca_file)
        # Held over nothing that waits.
        self._lock = Lock()
        self._kept: OrderedDict[str, Connections] = OrderedDict()

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
                    resolve=destinations.resolve,
                    tls=self._tls,
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
        """Close the idle connections; those in use are closed when they are given back."""
        with self._lock:
            kept, self._kept = list(self._kept.values()), OrderedDict()
        for connections in kept:
            connections.close()
