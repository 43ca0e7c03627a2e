"""What the gateway simulator has seen since it was started or reset."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any


class Journal:
    """The ids of the messages that were taken, in a file: one that is killed remembers them."""

    def __init__(self, path: Path) -> None:
        # Unbuffered: what it has is written before the message is answered.
        self._file = path.open("ab+", buffering=0)

    def read(self) -> list[str]:
        self._file.seek(0)
        return self._file.read().decode().split()

    def write(self, message_id: str) -> None:
        self._file.write(f"{message_id}\n".encode())

    def clear(self) -> None:
        self._file.truncate(0)


class Witness:
    """Counts messages, from their arrival to their outcome.

    =====================  ==============================================================
    ``received``           messages that arrived, including those that met a fault
    ``distinct_ids``       different ids among them
    ``accepted``           messages taken, as by a provider that answers with success
    ``duplicates``         messages taken although one with that id had been taken before
    ``by_status``          outcome, an HTTP status or the name of the fault -> number
    ``in_flight``          arrived, but not decided yet; ``max_in_flight`` is its peak
    =====================  ==============================================================
    """

    def __init__(self, journal: Journal | None = None) -> None:
        self._journal = journal
        self.received = 0
        self.accepted = 0
        self.duplicates = 0
        self.in_flight = 0
        self.max_in_flight = 0
        self.by_status: Counter[str] = Counter()
        #: id -> how often a message with it was taken
        self.ids: dict[str, int] = {}
        #: request id -> how many distinct ids came with it
        self.requests: Counter[str] = Counter()
        for message_id in journal.read() if journal else ():
            self.ids[message_id] = self.ids.get(message_id, 0) + 1

    def receive(self, message_id: str, request_id: str) -> None:
        """Count a message that arrived."""
        self.received += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        if message_id not in self.ids:
            self.ids[message_id] = 0
            self.requests[request_id] += 1

    def take(self, message_id: str) -> None:
        """Count a message as taken."""
        self.accepted += 1
        self.duplicates += self.ids[message_id] > 0
        self.ids[message_id] += 1
        if self._journal:
            self._journal.write(message_id)

    def decide(self, status: str) -> None:
        """Count the outcome of a message, which is no longer in flight."""
        self.in_flight -= 1
        self.by_status[status] += 1

    def stats(self) -> dict[str, Any]:
        """Return the counters above."""
        return {
            "received": self.received,
            "distinct_ids": len(self.ids),
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "by_status": dict(self.by_status),
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
        }
