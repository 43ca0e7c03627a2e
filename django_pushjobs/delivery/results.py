"""What an attempt adds up to: plain values, before they are written."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from ..backends.outcomes import MAX_CODE, storable_text
from ..events.change import Change
from ..models import AttemptEnd
from ..recipients import MAX_ADDRESS
from ..states import DeliveryStatus, Status

_WORD: Final = re.compile(rf"[\x21-\x7e]{{1,{MAX_CODE}}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryResult:
    """What an attempt found out about one address."""

    delivery_id: UUID
    address: str
    status: DeliveryStatus
    provider_id: str = ""
    error_code: str = ""
    error: str = ""
    #: Those made at this address, with this one if it counts.
    attempts: int = 1
    #: When it may be pushed to again, if it is to be.
    next_attempt_at: datetime | None = None
    started_at: datetime
    finished_at: datetime
    #: When the provider found the address to be dead, if it says so.
    dead_at: datetime | None = None


class Refusal(NamedTuple):
    """Our credentials were refused, or nobody was there to take a message.

    :param origin: where the address leads to; "" if all addresses of the backend lead there.
    :param is_outage: nobody was there.
    """

    origin: str
    address: str
    error_code: str
    error: str
    is_outage: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement(Change):
    """How an attempt at a push request ended: the change that this makes, and more.

    :param root_id: the request as it was submitted, if this one is a part of it.
    :param owner: the token of the claim; a row that has another one by now is left alone.
    :param attempt: the number of the attempt, 1 or more.
    :param end: how the attempt ended; None if none was made, and so none is counted.
    :param status: a final state, or PENDING together with ``next_attempt_at``.
    :param codes: code of an outcome -> addresses that had it at this attempt.
    :param deliveries: the addresses this attempt dealt with.
    :param refusals: what other pushes to the same origin have to expect as well.
    :param is_counted: whether the attempt counts towards the limit of the request.
    """

    root_id: UUID
    owner: str
    attempt: int
    end: AttemptEnd | None
    error: str = ""
    next_attempt_at: datetime | None = None
    codes: Mapping[str, int] = field(default_factory=dict)
    deliveries: Sequence[DeliveryResult] = ()
    started_at: datetime | None = None
    refusals: Sequence[Refusal] = ()
    is_counted: bool = True

    @property
    def is_part(self) -> bool:
        return self.root_id != self.request_id

    def canceled(self) -> Settlement:
        """Return what becomes of it if no further attempt is wanted."""
        return replace(
            self,
            status=Status.PARTIAL if self.counts["accepted"] else Status.CANCELED,
            end=self.end and AttemptEnd.SETTLED,
            error_code="canceled",
            error="",
            next_attempt_at=None,
        )

    def without_texts(self) -> Settlement:
        """Return the same result without what others have said, for a database that refuses it.

        Statuses and counts remain, and so do codes that are plain words.
        """
        codes: Counter[str] = Counter()
        for code, count in self.codes.items():
            codes[_word(code)] += count
        return replace(
            self,
            error_code=_word(self.error_code),
            error="",
            codes=codes,
            deliveries=[
                replace(
                    result,
                    address=storable_text(result.address, MAX_ADDRESS),
                    provider_id="",
                    error_code=_word(result.error_code),
                    error="",
                )
                for result in self.deliveries
            ],
        )

    def columns(self) -> dict[str, Any]:
        """Return what it writes into the row, besides the status."""
        return {
            **self.counts,
            "error_code": self.error_code[:64],
            "error": self.error,
            "result": {"codes": dict(self.codes)},
            "next_attempt_at": self.next_attempt_at,
        }

    def likeness(self) -> tuple[object, ...]:
        """Return what settlements have in common that change their rows in the same way."""
        return (
            *(self.status, self.end, self.is_counted),
            *(self.error_code, self.error, self.next_attempt_at),
            *self.counts.values(),
            *self.codes.items(),
        )


def _word(code: str) -> str:
    """Return ``code`` if it is a word that any database can store."""
    return code if not code or _WORD.fullmatch(code) else "unstorable"
