"""Changes for those who follow them: a stream in Redis for each client that has a listener.

A stream exists from the moment somebody listens, and for :data:`RETENTION` seconds after the last
listener has gone. Without one a change costs next to nothing: Redis is asked for the streams of a
whole batch in one round trip, and the rest is thrown away. What Redis loses is lost: a stream is
for those who wait, the row is the truth.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ..broker import keys, queues
from ..states import FINAL
from .change import Change

#: Seconds for which a stream outlives its last listener, and so for which it can be resumed.
RETENTION = 3_600
#: Events that a stream holds, about.
LENGTH = 10_000
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Event:
    """One change in the stream of a client.

    :param id: its position in the stream: ``<milliseconds>-<number>``.
    :param data: the JSON that a third party gets, see :func:`describe`.
    """

    id: str
    request_id: str
    status: str
    data: str

    @property
    def is_final(self) -> bool:
        return self.status in FINAL


def describe(change: Change) -> str:
    """Return ``change`` as JSON for a third party."""
    return json.dumps(
        {
            "id": str(change.request_id),
            "status": change.status,
            "done": change.is_final,
            "counts": dict(change.counts),
            "error_code": change.error_code,
            "at": change.at.isoformat().replace("+00:00", "Z"),
        },
        separators=(",", ":"),
    )


def order(event_id: str) -> tuple[int, int]:
    """Return the key that sorts ids of events by time."""
    milliseconds, _, number = event_id.partition("-")
    return int(milliseconds), int(number or 0)


def key(client_id: int) -> str:
    return keys.key("events", client_id)


# --- The reader's side. -----------------------------------------------------------------------


def open_stream(client_id: int) -> str:
    """Make sure that there is a stream, for a while, and return the id of its last entry.

    :raises broker.Unavailable: Redis does not answer.
    """
    connection = queues.connection()
    last = cast(list[Any], connection.xrevrange(key(client_id), count=1))
    # An entry that says nothing marks the beginning.
    position = last[0][0] if last else connection.xadd(key(client_id), {"begin": ""})
    connection.expire(key(client_id), RETENTION)
    return cast(bytes, position).decode()


def keep(client_ids: Iterable[int]) -> list[int]:
    """Let streams live for another while, and return the clients whose stream is gone.

    :raises broker.Unavailable: Redis does not answer.
    """
    client_ids = list(client_ids)
    with queues.connection().pipeline(transaction=False) as pipeline:
        for client_id in client_ids:
            pipeline.expire(key(client_id), RETENTION)
        kept = pipeline.execute()
    return [client_id for client_id, there in zip(client_ids, kept, strict=True) if not there]


def first(client_id: int) -> str | None:
    """Return the id of the oldest entry of a stream, or None if there is no stream."""
    found = cast(list[Any], queues.connection().xrange(key(client_id), count=1))
    return cast(bytes, found[0][0]).decode() if found else None


def between(client_id: int, after: str, until: str) -> Iterator[Event]:
    """Yield the events after the id ``after``, up to and with ``until``."""
    while True:
        found = cast(
            list[Any],
            queues.connection().xrange(key(client_id), f"({after}", until, count=_BATCH),
        )
        yield from events(found)
        if len(found) < _BATCH:
            return
        after = found[-1][0].decode()


def events(entries: Iterable[Any]) -> Iterator[Event]:
    """Yield the events among entries as redis-py gives them."""
    for entry_id, fields in entries:
        if b"data" in fields:
            yield Event(
                entry_id.decode(),
                fields[b"request"].decode(),
                fields[b"status"].decode(),
                fields[b"data"].decode(),
            )


def append(changes: Sequence[Change]) -> None:
    """Append to the streams that exist."""
    connection = queues.connection()
    clients = sorted({cast(int, change.client_id) for change in changes})
    with connection.pipeline(transaction=False) as pipeline:
        for client_id in clients:
            pipeline.exists(key(client_id))
        listened = {c for c, there in zip(clients, pipeline.execute(), strict=True) if there}
    if not listened:
        return
    with connection.pipeline(transaction=False) as pipeline:
        for change in changes:
            if change.client_id in listened:
                pipeline.xadd(
                    key(change.client_id),
                    {
                        "request": str(change.request_id),
                        "status": change.status.value,
                        "data": describe(change),
                    },
                    maxlen=LENGTH,
                    nomkstream=True,
                )
        pipeline.execute()
