"""What is measured, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .peers import OURS, Peer

#: Milliseconds until the gateway answers.
LATENCY_MS = 200
#: Jobs that compute which one core does in a second, roughly.
COMPUTED_A_SECOND = 550


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One kind of work.

    :param key: how the command line calls it.
    :param title: how the report calls it.
    :param job: ``noop``, ``push`` or ``compute``.
    :param concurrency: jobs at once.
    :param stretch: how many times as long as others it takes, where few jobs make up a trial:
        the moments with fewer in flight would weigh much, the slowest of 100 would be one job.
    :param rate: jobs a second that are sent while it runs; None means a backlog.
    """

    key: str
    title: str
    job: Literal["noop", "push", "compute"]
    concurrency: int = 100
    rate: int | None = None
    stretch: float = 1.0

    @property
    def ceiling(self) -> float | None:
        """Jobs a second that nobody can exceed."""
        if self.job == "push":
            return self.concurrency * 1_000 / LATENCY_MS
        return self.rate

    def suits(self, peer: Peer) -> bool:
        """Whether ``peer`` takes part.

        A thousand at once say nothing about one at a time. Jobs that compute are as fast
        wherever they run: with them we only compare two processes of ours with one.
        """
        if self.job == "compute":
            return peer.environment == OURS
        return peer.processes == 1 and (peer.is_concurrent or self.concurrency <= 100)

    def size(self, peer: Peer, seconds: float) -> int:
        """Return how many jobs keep ``peer`` busy for about ``seconds``, stretched."""
        pace: float = peer.pace
        if self.rate is not None:
            pace = self.rate
        elif self.job == "compute":
            pace = COMPUTED_A_SECOND * peer.processes
        elif self.job == "push":
            at_once = self.concurrency if peer.is_concurrent else 1
            pace = min(pace, at_once * 1_000 / LATENCY_MS)
        count = max(1, round(pace * seconds * self.stretch))
        if self.job == "push" and peer.is_concurrent:
            # Whole waves: a part of one would take as long.
            count = max(2, round(count / self.concurrency)) * self.concurrency
        return count


DRAIN = Workload(key="drain", title="Jobs that do nothing", job="noop")
PUSH_100 = Workload(key="push100", title="HTTP pushes, 100 in flight", job="push", stretch=2.0)
PUSH_1000 = Workload(
    key="push1000", title="HTTP pushes, 1,000 in flight", job="push", concurrency=1_000
)
TRICKLE = Workload(
    key="trickle", title="A trickle of 50 jobs a second", job="noop", rate=50, stretch=2.0
)
COMPUTE = Workload(
    key="compute", title="Jobs that compute, on two cores", job="compute", stretch=2.0
)
WORKLOADS = {w.key: w for w in (DRAIN, PUSH_100, PUSH_1000, TRICKLE, COMPUTE)}
