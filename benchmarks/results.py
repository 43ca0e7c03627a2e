"""What a trial found, what several of them come to, and how both are kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from statistics import median
from typing import Any

from .machine import Machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one trial measured; None where that makes no sense.

    :param rate: jobs done in a second.
    :param cpu_ms: milliseconds of CPU of all worker processes, for each job.
    :param rss: bytes of resident memory at its peak, of all worker processes; pages that they
        share count in each.
    :param pss: the same, with shared pages counted once.
    :param largest: the resident memory of the largest process at its peak.
    :param p50, p99: milliseconds that half, and 99 of 100, of the jobs did not exceed: from
        sending to done where jobs trickle, from start to done where they push.
    """

    rate: float
    cpu_ms: float
    rss: float
    pss: float
    largest: float
    p50: float | None
    p99: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandCount:
    """Redis commands for each job: sent by the worker, and run by scripts on top of that."""

    sent: float
    scripted: float

    @property
    def executed(self) -> float:
        return self.sent + self.scripted


@dataclass(slots=True)
class Results:
    """All of a run.

    :param trials: workload -> peer -> what each round found.
    :param commands: peer -> Redis commands for each job.
    :param failures: what went wrong, as workload, peer, message.
    :param versions: environment -> package -> version.
    """

    machine: Machine
    rounds: int
    seconds: float
    trials: dict[str, dict[str, list[Figures]]] = field(default_factory=dict)
    commands: dict[str, CommandCount] = field(default_factory=dict)
    failures: list[tuple[str, str, str]] = field(default_factory=list)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, workload: str, peer: str, figures: Figures) -> None:
        self.trials.setdefault(workload, {}).setdefault(peer, []).append(figures)

    def medians(self, workload: str) -> dict[str, Figures]:
        """Return peer -> the median of each figure, the fastest peer first."""
        found = {peer: middle(rounds) for peer, rounds in self.trials.get(workload, {}).items()}
        return dict(sorted(found.items(), key=lambda item: -item[1].rate))

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1), "utf-8")

    @classmethod
    def load(cls, path: Path) -> Results:
        data = json.loads(path.read_text("utf-8"))
        data["machine"] = Machine(**data["machine"])
        data["trials"] = {
            workload: {peer: [Figures(**f) for f in rounds] for peer, rounds in peers.items()}
            for workload, peers in data["trials"].items()
        }
        data["commands"] = {k: CommandCount(**v) for k, v in data["commands"].items()}
        data["failures"] = [tuple(failure) for failure in data["failures"]]
        return cls(**data)


def middle(rounds: Sequence[Figures]) -> Figures:
    """Return the median of each figure by itself."""

    def of(name: str) -> Any:
        values = [value for f in rounds if (value := getattr(f, name)) is not None]
        return median(values) if values else None

    return Figures(**{f.name: of(f.name) for f in fields(Figures)})


def percentile(values: Iterable[float], share: float) -> float:
    """Return the smallest of ``values`` that ``share`` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
