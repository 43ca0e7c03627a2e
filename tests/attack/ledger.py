"""What attackers were answered, and which of it must not be."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

#: Stands in everything that the other clients own; nobody else may ever read it.
CANARY = "canary-8d1f2c"
#: The only answer above 499 that is no fault: a client asked for more streams than it may have.
_REDUCED = b"temporary-reduced-capacity"


class Ledger:
    """Counts answers by status, and keeps the first of each kind that is a fault."""

    def __init__(self) -> None:
        self.answers: Counter[int] = Counter()
        #: Fault -> how often; the first few of a kind are kept apart by their call.
        self.faults: Counter[str] = Counter()
        self._lock = threading.Lock()

    def fault(self, what: str) -> None:
        with self._lock:
            self.faults[what] += 1

    def judge(
        self, call: str, status: int, headers: Mapping[str, str], body: bytes, *, ours: bool = False
    ) -> None:
        """Note an answer.

        :param headers: with names in lower case.
        :param ours: whether the call reached a view of ours, so that a refusal is a problem of
            ours (RFC 9457), and not of the web server or of Django.
        """
        with self._lock:
            self.answers[status] += 1
        if status >= 500 and _REDUCED not in body:
            self.fault(f"{status} for {call}: {body[:200]!r}")
        if CANARY.encode() in body or any(CANARY in value for value in headers.values()):
            self.fault(f"foreign data for {call}")
        if b"Traceback (most recent call last)" in body:
            self.fault(f"a traceback for {call}")
        if ours and 400 <= status < 500 and body and not _is_problem(status, headers, body):
            self.fault(f"{status} that is no problem for {call}: {body[:200]!r}")


def _is_problem(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    try:
        members: Any = json.loads(body)
    except ValueError:
        return False
    return (
        headers.get("content-type") == "application/problem+json"
        and members["status"] == status
        and bool(members["title"] and members["detail"] and members["request_id"])
    )
