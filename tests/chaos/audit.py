"""Compares what the rows say with what the gateway really received."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from uuid import UUID

from django_pushjobs.states import FINAL, Status

#: Error codes of attempts after which it is unknown whether the gateway has the message.
DOUBTFUL = frozenset(
    {"worker_lost", "poisonous", "connection_lost", "timeout", "bad_answer", "job_timeout"}
)


@dataclass(frozen=True, slots=True)
class Row:
    """A push request with one address, as it is in the database at the end.

    :param unknown: addresses counted as unknown.
    :param journal: for each attempt that did not end the request at once, the codes of what
        happened in it; None if no journal is kept.
    """

    status: str
    attempts: int
    unknown: int
    error_code: str = ""
    journal: tuple[frozenset[str], ...] | None = None

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def doubts(self) -> int:
        """How many attempts may have reached the gateway without our knowing."""
        if self.journal is None:
            return self.attempts - 1
        return sum(bool(codes & DOUBTFUL) for codes in self.journal)

    @property
    def is_doubtful(self) -> bool:
        """Whether the row admits that the gateway may have taken more than is called accepted."""
        return bool(self.unknown) or self.error_code in DOUBTFUL or bool(self.doubts)


@dataclass(slots=True)
class Verdict:
    """What an audit found; keys are those of push requests, values describe their state.

    :param final: how many push requests have ended.
    :param unknown: addresses counted as unknown.
    :param duplicates: how often the gateway took a message that it had taken before.
    :param accounted: duplicates that follow from an attempt whose end is unknown.
    :param strangers: messages that belong to no push request.
    :param lost: push requests that never ended.
    :param untrue: final rows that contradict the gateway.
    :param unaccounted: push requests with duplicates that have no such reason.
    """

    requests: int
    final: int = 0
    unknown: int = 0
    duplicates: int = 0
    accounted: int = 0
    strangers: int = 0
    lost: dict[UUID, str] = field(default_factory=dict)
    untrue: dict[UUID, str] = field(default_factory=dict)
    unaccounted: dict[UUID, str] = field(default_factory=dict)

    def problems(self) -> Iterator[str]:
        """Yield a sentence for each thing that does not add up."""
        for found, what in (
            (self.lost, "never ended"),
            (self.untrue, "contradict the gateway"),
            (self.unaccounted, "were taken by the gateway more often than can be explained"),
        ):
            if found:
                examples = [f"{key} ({detail})" for key, detail in list(found.items())[:3]]
                yield f"{len(found)} push requests {what}: {', '.join(examples)}"
        if self.strangers:
            yield f"the gateway took {self.strangers} messages that belong to no push request"


def audit(
    accepted: Set[UUID],
    rows: Mapping[UUID, Row],
    taken: Mapping[UUID, int],
    *,
    strangers: int = 0,
    repeats: bool,
) -> Verdict:
    """Compare what was promised, what is recorded and what was sent.

    :param accepted: push requests that the third party knows to be accepted.
    :param rows: all push requests in the database. There may be more of them: if the database goes
        away during a commit, the third party sees a failure, but the row may be there.
    :param taken: how often the gateway took the message of a push request.
    :param strangers: how many messages belong to no push request.
    :param repeats: whether the fault is a reason to push anything twice.
    """
    verdict = Verdict(requests=len(accepted | rows.keys()), strangers=strangers)
    verdict.lost = dict.fromkeys(accepted - rows.keys(), "no row")
    for key, row in rows.items():
        count = taken.get(key, 0)
        detail = f"{row.status} {row.error_code}, {row.attempts} attempts, taken {count} times"
        verdict.unknown += row.unknown
        if not row.is_final:
            verdict.lost[key] = detail
        else:
            verdict.final += 1
            if _is_untrue(row, count):
                verdict.untrue[key] = detail
        if count > 1:
            verdict.duplicates += count - 1
            if repeats and count - 1 <= row.doubts:
                verdict.accounted += count - 1
            else:
                verdict.unaccounted[key] = detail
    return verdict


def _is_untrue(row: Row, count: int) -> bool:
    if row.status == Status.SUCCEEDED:
        return count == 0
    return count > 0 and not row.is_doubtful
