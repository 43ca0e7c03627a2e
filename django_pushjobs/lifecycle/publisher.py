"""Changes are published in the background: a commit never waits for listeners."""

from __future__ import annotations

import atexit
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from ..broker import Unavailable
from ..events import streams
from ..events.change import Change
from ..limits import admission
from ..runtime.processes import PerProcess

logger = logging.getLogger(__name__)

Subscriber = Callable[[Sequence[Change]], None]

#: What is called with changes to the requests of clients, in batches and in this order.
SUBSCRIBERS: tuple[Subscriber, ...] = (streams.append, admission.release_final)

#: Changes that wait to be published in one process; beyond that the oldest are dropped.
BACKLOG = 100_000
#: Changes that subscribers are given at a time.
BATCH = 1_000
#: Seconds that a process about to exit spends on what it has not published yet.
FLUSH_AT_EXIT = 1.0


class Publisher:
    """Publishes the changes of one process, in batches, from a thread of its own."""

    def __init__(self, subscribers: Iterable[Subscriber] = SUBSCRIBERS) -> None:
        self._subscribers = tuple(subscribers)
        self._waiting: deque[Change] = deque(maxlen=BACKLOG)
        self._wake = threading.Event()
        self._idle = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def publish(self, changes: Iterable[Change]) -> None:
        """Publish changes soon. Never fails and never waits.

        Requests of our own code have no client, and so no listeners.
        """
        asked = [change for change in changes if change.client_id is not None]
        if not asked:
            return
        with self._lock:
            self._waiting.extend(asked)
            self._idle.clear()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="events", daemon=True)
                self._thread.start()
        self._wake.set()

    def flush(self, timeout: float) -> bool:
        """Wait until everything is published; return False if that takes over ``timeout`` s."""
        return self._thread is None or self._idle.wait(timeout)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._waiting:
                count = min(len(self._waiting), BATCH)
                batch = [self._waiting.popleft() for _ in range(count)]
                for subscriber in self._subscribers:
                    self._tell(subscriber, batch)
            with self._lock:
                if not self._waiting:
                    self._idle.set()

    def _tell(self, subscriber: Subscriber, batch: Sequence[Change]) -> None:
        try:
            subscriber(batch)
        except Unavailable as error:
            logger.debug("Could not publish %d changes: %s", len(batch), error)
        except Exception:
            # The thread must outlive it: the other subscribers and the next batch depend on it.
            logger.exception("Could not publish %d changes", len(batch))


#: The publisher of this process.
publisher = PerProcess(Publisher)


def _flush_at_exit() -> None:
    if publisher.made is not None:
        publisher.made.flush(FLUSH_AT_EXIT)


atexit.register(_flush_at_exit)
