"""Calls that wait in this process for a change: one connection to Redis serves them all.

A waiting call is a greenlet with a queue and nothing else: no database connection, no connection to
Redis, no polling.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, Final, cast

from ..broker import Unavailable, keys, queues
from ..conf import conf
from ..exceptions import PushJobsError
from ..runtime.greenlets import cooperative
from ..runtime.processes import PerProcess, new_token
from . import streams
from .streams import Event

logger = logging.getLogger(__name__)

#: Seconds that one read waits for something to happen.
_BLOCK: Final = 2
#: Seconds between two times that streams are kept alive, or forgotten if they have no listener.
_UPKEEP: Final = 5.0
#: Seconds to wait before Redis is tried again.
_RETRY: Final = 1.0
#: Events that a listener may leave unread before it has to start over from its position.
_UNREAD: Final = 1_000


class TooManyListeners(PushJobsError):
    """This process has as many listeners as it may have, of all clients or of this one."""


class Lagging(PushJobsError):
    """This listener has missed events: it was too slow, or Redis has lost them."""


class Listener:
    """Hears what happens to one push request, or to all of a client.

    :ivar position: id of the event after which it listens.
    """

    __slots__ = ("_heard", "position", "request_id")

    def __init__(self, request_id: str | None) -> None:
        self.request_id = request_id
        self.position = "0-0"
        self._heard: SimpleQueue[Event | None] = SimpleQueue()

    def hear(self, event: Event | None) -> None:
        """Take an event; None says that some were lost."""
        unread = self._heard.qsize()
        if unread < _UNREAD:
            self._heard.put(event)
        elif unread == _UNREAD:
            self._heard.put(None)

    def next(self, timeout: float) -> Event | None:
        """Return the next event, or None if there is none for ``timeout`` seconds.

        :raises Lagging: some were missed.
        """
        try:
            event = self._heard.get(timeout=max(0.0, timeout))
        except Empty:
            return None
        if event is None:
            raise Lagging
        return event

    def wait_for_end(self, timeout: float) -> bool:
        """Wait for a final state, for up to ``timeout`` seconds; return whether it came.

        Also returns False if events were lost: look at the row.
        """
        deadline = time.monotonic() + timeout
        try:
            while event := self.next(deadline - time.monotonic()):
                if event.is_final:
                    return True
        except Lagging:
            pass
        return False


@dataclass(slots=True)
class _Stream:
    """The stream of one client, as far as it was read, and who listens to it."""

    position: str
    to_all: set[Listener] = field(default_factory=set)
    to_one: dict[str, set[Listener]] = field(default_factory=dict)

    def add(self, listener: Listener) -> None:
        if listener.request_id is None:
            self.to_all.add(listener)
        else:
            self.to_one.setdefault(listener.request_id, set()).add(listener)

    def remove(self, listener: Listener) -> None:
        if listener.request_id is None:
            self.to_all.discard(listener)
        elif listeners := self.to_one.get(listener.request_id):
            listeners.discard(listener)
            if not listeners:
                del self.to_one[listener.request_id]

    def dispatch(self, event: Event) -> None:
        for listener in (*self.to_all, *self.to_one.get(event.request_id, ())):
            listener.hear(event)

    def restart(self, position: str) -> None:
        self.position = position
        for listener in (*self.to_all, *(one for some in self.to_one.values() for one in some)):
            listener.hear(None)

    def __bool__(self) -> bool:
        return bool(self.to_all or self.to_one)


class Hub:
    """Reads the streams of all clients that have a listener in this process."""

    def __init__(self) -> None:
        #: Listeners by client.
        self._counts: Counter[int] = Counter()
        self._streams: dict[int, _Stream] = {}
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._reading = False
        # Written to if there is another stream to read: the blocking read returns.
        self._control = keys.key("control", new_token())
        self._control_position = "0-0"
        self._next_upkeep = 0.0

    @contextmanager
    def listen(self, client_id: int, request_id: str | None = None) -> Iterator[Listener]:
        """Listen to a client, or to one push request of it, from now on.

        :raises TooManyListeners: there are ``MAX_LISTENERS`` already, or ``MAX_CLIENT_LISTENERS``
            to this client.
        :raises broker.Unavailable: Redis does not answer.
        """
        settings = conf()
        if (
            self._counts.total() >= settings.MAX_LISTENERS
            or self._counts[client_id] >= settings.MAX_CLIENT_LISTENERS
        ):
            raise TooManyListeners
        listener = Listener(request_id)
        self._counts[client_id] += 1
        try:
            self._add(client_id, listener)
            yield listener
        finally:
            self._counts[client_id] -= 1
            if not self._counts[client_id]:
                del self._counts[client_id]
            with self._lock:
                if stream := self._streams.get(client_id):
                    stream.remove(listener)

    def _add(self, client_id: int, listener: Listener) -> None:
        if self._join(client_id, listener):
            return
        # One at a time: of calls that come at the same moment, the first opens the stream for all.
        with self._opening:
            if self._join(client_id, listener):
                return
            position = streams.open_stream(client_id)
            with self._lock:
                stream = self._streams[client_id] = _Stream(position)
                stream.add(listener)
                listener.position = position
                start, self._reading = not self._reading, True
            if start:
                threading.Thread(target=self._run, name="listeners", daemon=True).start()
            else:
                self._wake()

    def _join(self, client_id: int, listener: Listener) -> bool:
        with self._lock:
            if (stream := self._streams.get(client_id)) is None:
                return False
            stream.add(listener)
            listener.position = stream.position
            return True

    def _wake(self) -> None:
        """Make the blocking read return: there is another stream."""
        with queues.connection().pipeline(transaction=False) as pipeline:
            pipeline.xadd(self._control, {"more": ""}, maxlen=1, approximate=False)
            pipeline.expire(self._control, 60)
            pipeline.execute()

    # What the reader does.

    def _run(self) -> None:
        while True:
            try:
                if self._is_time() and not self._upkeep():
                    return
                self._read()
            except Unavailable as error:
                logger.warning("event listeners are stalled: Redis does not answer: %s", error)
                time.sleep(_RETRY)
            except Exception:
                logger.exception("event listeners are stalled")
                time.sleep(_RETRY)

    def _read(self) -> None:
        with self._lock:
            clients = {streams.key(client_id): client_id for client_id in self._streams}
            positions = {key: self._streams[c].position for key, c in clients.items()}
        found = cast(
            "list[tuple[bytes, list[Any]]]",
            queues.blocking_connection().xread(
                {self._control: self._control_position, **positions},  # type: ignore[dict-item]
                count=1_000,
                block=_BLOCK * 1_000,
            ),
        )
        for name, entries in found:
            key, position = name.decode(), entries[-1][0].decode()
            if key == self._control:
                self._control_position = position
                continue
            with self._lock:
                if (stream := self._streams.get(clients[key])) is None:
                    continue
                stream.position = position
                for event in streams.events(entries):
                    stream.dispatch(event)

    def _is_time(self) -> bool:
        return time.monotonic() >= self._next_upkeep

    def _upkeep(self) -> bool:
        """Keep streams alive, and forget those without a listener; return False if none is left."""
        with self._lock:
            for client_id in [c for c, stream in self._streams.items() if not stream]:
                del self._streams[client_id]
            clients = list(self._streams)
            if not clients:
                self._reading = False
                return False
        for client_id in streams.keep(clients):
            # Redis has lost its memory.
            position = streams.open_stream(client_id)
            with self._lock:
                if stream := self._streams.get(client_id):
                    stream.restart(position)
        self._next_upkeep = time.monotonic() + _UPKEEP
        return True


def can_listen() -> bool:
    """Return whether calls that wait here are greenlets, of which there may be thousands."""
    return cooperative()


#: The hub of this process.
hub = PerProcess(Hub)
