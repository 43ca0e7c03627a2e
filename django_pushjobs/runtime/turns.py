"""Long work among greenlets: in slices, between which the others of the thread have their turn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import monotonic
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

import gevent
from django.db import connections
from gevent import get_hub
from gevent.lock import Semaphore

from .greenlets import cooperative

T = TypeVar("T")

#: Seconds that one greenlet may work until it is the turn of the others.
STRETCH: Final = 0.005
#: Seconds. gevent.sleep(0) would not do: the loop runs up to 50 such callbacks before it looks at
#: its timers and sockets, so deadlines would come late.
_TURN: Final = 1e-6
#: Hub -> the queue of the greenlets that have had a stretch, so that many of them do not add up:
#: whoever holds the lock waits for one turn of the loop.
_queues: WeakKeyDictionary[Any, Semaphore] = WeakKeyDictionary()


def give_way() -> None:
    """Let the other greenlets of this thread run."""
    hub = get_hub()
    queue = _queues.get(hub) or _queues.setdefault(hub, Semaphore(1))
    with queue:
        gevent.sleep(_TURN)


def breathe() -> None:
    """Let the other greenlets run, where threads are greenlets.

    Not within a transaction: others might need what it has locked, and with SQLite would wait for
    that without ever letting us run.
    """
    if cooperative() and not _is_in_transaction():
        give_way()


def in_turns(items: Iterable[T]) -> Iterator[T]:
    """Yield ``items``, and :func:`breathe` in between if there is much to do for them."""
    began = monotonic()
    for item in items:
        yield item
        if monotonic() - began >= STRETCH:
            breathe()
            began = monotonic()


def _is_in_transaction() -> bool:
    return any(connection.in_atomic_block for connection in connections.all(initialized_only=True))
