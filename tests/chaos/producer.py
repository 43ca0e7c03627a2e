"""The third party: submits push requests at a steady pace, whatever happens."""

from __future__ import annotations

import threading
import time
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connections

from django_pushjobs.services import submit

THREADS = 4
#: Seconds before a refused submission is tried again.
PAUSE = 0.2


class Producer:
    """Submits from a few threads.

    :param reference: reference of all its push requests, by which their rows are found.
    :param count: how many push requests must be accepted.
    :param rate: how many to submit per second.
    :param addresses: how many addresses each has.
    :param fields: what else is submitted.
    """

    def __init__(
        self, reference: str, count: int, rate: float, *, addresses: int = 1, **fields: Any
    ) -> None:
        self.reference = reference
        self.count = count
        self.rate = rate
        self._addresses = addresses
        self._fields = fields
        #: The push requests that the third party knows to be accepted.
        self.accepted: set[UUID] = set()
        #: How long each of these answers took, in seconds.
        self.answers: list[float] = []
        #: How many submissions failed. Their rows may be there nevertheless.
        self.refused = 0

    def run(self) -> None:
        """Submit, and return when all are accepted."""
        started = time.monotonic()
        threads = [
            threading.Thread(target=self._submit, args=(number, started))
            for number in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _submit(self, first: int, started: float) -> None:
        for number in range(first, self.count, THREADS):
            time.sleep(max(0.0, started + number / self.rate - time.monotonic()))
            while not self._is_accepted(number):
                time.sleep(PAUSE)
        connections.close_all()

    def _is_accepted(self, number: int) -> bool:
        asked = time.monotonic()
        try:
            row = submit(
                recipients=[address(number * self._addresses + n) for n in range(self._addresses)],
                title="Chaos",
                backend="gateway",
                reference=self.reference,
                **self._fields,
            )
        except DatabaseError:
            connections.close_all()
            self.refused += 1
            return False
        self.accepted.add(row.pk)
        self.answers.append(time.monotonic() - asked)
        return True


def address(number: int) -> str:
    """Return the address with this number."""
    return f"device-{number}"
