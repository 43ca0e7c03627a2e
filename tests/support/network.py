"""A network between a sender and a provider that loses connections in every way there is.

It forwards bytes between TCP connections, in a thread of its own. What happens to those that are
open happens when a test says so, or again and again by chance.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .provider import lose_packets

#: Seconds after which nobody is left at the other end of a connection that was forgotten. If it
#: stayed, a SYN from the same port would be dropped as well.
_ABANDONED = 6.0
#: Seconds between two faults that happen by chance.
_EVERY = 0.5
#: Closing sends a RST.
_RESET = struct.pack("ii", 1, 0)


class _Side(asyncio.Protocol):
    """One side of a connection; what arrives is written to the ``other`` one."""

    transport: Any

    def __init__(self, link: Link) -> None:
        self.link = link
        self.other: _Side | None = None
        self.early = bytearray()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.link.is_doomed and self is self.link.near:
            self.link.reset()
        elif self.link.is_silent:
            pass
        elif self.other is None:
            self.early += data
        else:
            self.other.transport.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.link.is_silent:
            self.link.close()


class Link:
    """A connection through the network."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.is_doomed = self.is_silent = False
        self.near, self.far = _Side(self), _Side(self)

    def accept(self) -> _Side:
        self.network.add(self)
        self.network.keep(asyncio.get_running_loop().create_task(self._connect()))
        return self.near

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: self.far, "127.0.0.1", self.network.target)
        except OSError:
            self.close()
            return
        self.near.other, self.far.other = self.far, self.near
        self.far.transport.write(bytes(self.near.early))

    def abort(self) -> None:
        for side in (self.near, self.far):
            if hasattr(side, "transport"):
                side.transport.abort()

    def close(self) -> None:
        self.network.links.discard(self)
        for side in (self.near, self.far):
            if hasattr(side, "transport"):
                side.transport.close()

    def reset(self) -> None:
        self.network.links.discard(self)
        if self.near.transport.is_closing():
            return
        sock = self.near.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.near.transport.abort()
        if hasattr(self.far, "transport"):
            self.far.transport.abort()

    def forget(self) -> None:
        """Drop what the sender sends, as a NAT does that has forgotten the flow."""
        self.network.links.discard(self)
        lose_packets(self.near.transport.get_extra_info("socket"))
        asyncio.get_running_loop().call_later(_ABANDONED, self.reset)

    def fall_silent(self) -> None:
        """Acknowledge what comes, and pass nothing on."""
        self.is_silent = True
        self.network.links.discard(self)

    def doom(self) -> None:
        """Reset the connection as soon as the sender uses it again: at the worst moment."""
        self.is_doomed = True


class Network:
    """The way to ``target``, a port of this machine; senders connect to :attr:`port`."""

    def __init__(self, target: int) -> None:
        self.target = target
        #: The connections that are open and as they should be.
        self.links: set[Link] = set()
        self._ever: list[Link] = []
        self.opened = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1_024)
        self.port = self.listener.getsockname()[1]
        self.loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    def keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def add(self, link: Link) -> None:
        self.links.add(link)
        self._ever.append(link)
        self.opened += 1

    def all(self, action: Callable[[Link], None]) -> int:
        """Do something to all open connections; return how many there were."""
        done = threading.Event()
        links: list[Link] = []

        def run() -> None:
            links.extend(self.links)
            for link in links:
                action(link)
            done.set()

        self.loop.call_soon_threadsafe(run)
        assert done.wait(10)
        return len(links)

    async def _serve(self) -> None:
        server = await self.loop.create_server(lambda: Link(self).accept(), sock=self.listener)
        async with server:
            await server.serve_forever()

    async def _trouble(self, faults: Sequence[Callable[[Link], None]], seed: int) -> None:
        chance = random.Random(seed)
        while True:
            await asyncio.sleep(_EVERY)
            fault = chance.choice(faults)
            for link in list(self.links):
                fault(link)

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for link in self._ever:
            link.abort()
        # Transports close their sockets at the next turns of the loop.
        await asyncio.sleep(0.05)

    def run(self, faults: Sequence[Callable[[Link], None]], seed: int) -> None:
        asyncio.set_event_loop(self.loop)
        self.task = self.loop.create_task(self._serve())
        if faults:
            self._tasks.add(self.loop.create_task(self._trouble(faults, seed)))
        try:
            self.loop.run_until_complete(self.task)
        except asyncio.CancelledError:
            pass
        finally:
            self.loop.run_until_complete(self._end())
            self.loop.close()


@contextmanager
def network(
    target: int, *, faults: Sequence[Callable[[Link], None]] = (), seed: int = 1
) -> Iterator[Network]:
    """Run a network that leads to a port of this machine.

    :param faults: one of them, drawn by chance, happens to all connections every now and then.
    """
    way = Network(target)
    thread = threading.Thread(target=way.run, args=(faults, seed), daemon=True)
    thread.start()
    try:
        yield way
    finally:
        way.loop.call_soon_threadsafe(way.task.cancel)
        thread.join(10)


@contextmanager
def dead_address(port: int) -> Iterator[str]:
    """Yield an address of this machine at which SYNs to ``port`` are dropped."""
    with socket.create_server(("127.0.0.2", port)) as listener:
        lose_packets(listener)
        yield "127.0.0.2"
