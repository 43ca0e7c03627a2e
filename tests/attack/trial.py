"""One attack: what it cost us, and what the other client felt of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from .costs import Costs
from .stage import Stage

#: Seconds: the most that the other client may feel.
SUBMISSION_P99 = 0.25
PUSH_P95 = 2.0
#: Seconds until the last push of the other client is settled.
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Attack:
    """Something that a client, a user or a peer of ours can do.

    :param run: does it for so many seconds.
    """

    name: str
    summary: str
    run: Callable[[Stage, float], None]


@dataclass(slots=True)
class Trial:
    """The results of one attack; times are seconds.

    :param cpu: by group of processes, seconds of CPU time.
    :param grown: by group of processes, bytes.
    :param lost: processes of ours that have ended.
    :param answers: what the attackers were answered: status -> how often.
    :param faults: what they must not have been answered.
    :param submissions: of the other client.
    :param pushes: of the other client, those that were settled.
    """

    name: str
    seconds: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    grown: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    submissions: list[float] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)
    pushes: list[float] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)

    @property
    def submission(self) -> float | None:
        return percentile(self.submissions, 99)

    @property
    def push(self) -> float | None:
        return percentile(self.pushes, 95)

    def problems(self, *, timed: bool) -> Iterator[str]:
        """Yield a sentence for each thing that must not be.

        :param timed: whether durations count.
        """
        for what, count in self.faults.most_common(8):
            yield f"{count} times {what}"
        if self.lost:
            yield f"{self.lost} processes were lost"
        if not self.submissions:
            yield "the other client submitted nothing"
        for status, count in self.refused.items():
            yield f"the other client was answered {status or 'nothing'} {count} times"
        for end, count in self.ends.items():
            if end != "succeeded":
                yield f"{count} pushes of the other client are {end}"
        if timed and (self.submission or 0) > SUBMISSION_P99:
            yield f"submissions of the other client took {self.submission:.2f} s (p99)"
        if timed and (self.push or 0) > PUSH_P95:
            yield f"pushes of the other client took {self.push:.2f} s (p95)"


def run(attack: Attack, stage: Stage, seconds: float) -> Trial:
    """Attack for so long, wait until the pushes of the other client are settled, and count."""
    trial = Trial(attack.name)
    stage.ledger.answers.clear()
    stage.ledger.faults.clear()
    pids = stage.pids()
    began, began_at = time.time(), time.monotonic()
    with Costs(pids) as costs:
        try:
            attack.run(stage, seconds)
        except Exception as error:
            stage.ledger.fault(f"the attack ended with {error!r}")
        ended, trial.seconds = time.time(), time.monotonic() - began_at
    trial.cpu = {name: group.cpu for name, group in costs.groups.items()}
    trial.grown = {name: group.grown for name, group in costs.groups.items()}
    settled = _settled(stage, began, ended)
    trial.pushes = sorted(took for _, took in settled if took is not None)
    trial.ends = Counter(state for state, _ in settled)
    seen = [(status, took) for at, status, took in stage.submissions if began <= at <= ended]
    trial.submissions = sorted(took for _, took in seen)
    trial.refused = Counter(status for status, _ in seen if status != 202)
    alive = stage.pids()
    trial.lost = sum(len(set(before) - set(alive[name])) for name, before in pids.items())
    trial.answers = Counter(stage.ledger.answers)
    trial.faults = Counter(stage.ledger.faults)
    return trial


def percentile(ordered: Sequence[float], percent: int) -> float | None:
    """Return the nearest rank, or None if there are no values."""
    if not ordered:
        return None
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def _settled(stage: Stage, began: float, ended: float) -> list[tuple[str, float | None]]:
    deadline = time.monotonic() + PATIENCE
    while True:
        found = stage.pushes(began, ended)
        if all(took is not None for _, took in found) or time.monotonic() > deadline:
            return found
        time.sleep(0.2)
