"""Everything that the harness runs and may break."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.request import Request, urlopen
from uuid import UUID

from tests.support.stack import ROOT, Stack
from tests.support.waiting import eventually

from .servers import PostgreSQL, Valkey
from .supervisor import Supervisor

if TYPE_CHECKING:
    from .fencing import Fence
    from .recovery import Recoveries


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast things go; all times are seconds.

    :param rate: push requests submitted per second.
    :param latency_ms: latency of the gateway in milliseconds; up to as much again is added.
    :param lease: lease of a claim.
    :param past_lease: how much longer than its lease a process is stopped.
    :param answer: time for ninety-nine of a hundred submissions to be answered where a fault must
        not delay them; None if that is not looked at.
    :param outage: how long the gateway is away.
    :param recovery: time for nineteen out of twenty requests of a killed process to be recovered.
    :param haste: factor by which pauses are shortened when everything strikes at once.
    :param part_size: addresses in a part of a large request.
    :param patience: time for all requests to end once nothing is broken any more.
    """

    rate: float
    latency_ms: int = 300
    lease: float
    past_lease: float = 5.0
    answer: float | None = None
    outage: float = 20.0
    recovery: float = 5.0
    patience: float = 180.0
    haste: float = 1.0
    relay_interval: float = 1.0
    lost_job_after: float = 5.0
    part_size: int = 1_000


class World:
    """Servers, gateway and workers; once it is entered, everything but the workers is running."""

    def __init__(self, folder: Path, pace: Pace, seed: int) -> None:
        self.folder = folder
        self.pace = pace
        self.seed = seed
        self._draws: dict[str, Random] = {}
        #: Only one fault at a time may touch the database server itself.
        self.database_lock = Lock()
        self._exits = ExitStack()

    def __enter__(self) -> Self:
        with self._exits as exits:
            self.valkey = Valkey()
            exits.callback(self.valkey.close)
            self.postgres = PostgreSQL()
            exits.callback(self.postgres.close)
            environment = os.environ | {
                "DJANGO_SETTINGS_MODULE": "tests.chaos.settings",
                "PYTHONPATH": str(ROOT),
                "REDIS_URL": self.valkey.url,
                "DATABASE_URL": self.postgres.url,
                "PUSHJOBS_LEASE": str(self.pace.lease),
                "CHAOS_RELAY_INTERVAL": str(self.pace.relay_interval),
                "CHAOS_LOST_JOB_AFTER": str(self.pace.lost_job_after),
            }
            self.stack = Stack(self.folder, environment)
            exits.callback(self.stack.close)
            migrated = self.stack.manage("migrate", "-v0")
            assert migrated.wait() == 0, migrated.output
            self.start_gateway(port=0)
            self.supervisor = Supervisor(self.stack)
            exits.callback(self.supervisor.close)
            self._exits = exits.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._exits.close()

    def draw(self, name: str) -> Random:
        """Return the dice of a fault: with the same seed, it draws the same."""
        return self._draws.setdefault(name, Random(f"{self.seed} {name}"))

    def begin(self, recoveries: Recoveries, fence: Fence) -> None:
        """Start the next trial from zero, observed by these two."""
        self.recoveries = recoveries
        self.fence = fence
        self._post("/reset", {})

    def struck(self, *pids: int) -> list[UUID]:
        """Note that these processes are dead or stopped, and return what they had claimed."""
        return self.recoveries.struck(pids)

    def remember(self, claimed: list[UUID]) -> None:
        """Note the state of these rows: the process that had claimed them is about to go on."""
        self.fence.remember(claimed)

    def start_gateway(self, port: int) -> None:
        """Start the gateway; what it took is in a file, so that a witness who dies is no loss."""
        self.stack.gateway(
            self.pace.latency_ms,
            **{
                "port": str(port),
                "jitter-ms": str(self.pace.latency_ms),
                "seed": str(self.seed),
                "journal": str(self.folder / "gateway.journal"),
            },
        )
        self.gateway = self.stack.programs[-1]

    def control_gateway(self, **values: Any) -> None:
        """Change how the gateway answers; see ``POST /control`` of the simulator."""
        self._post("/control", values)

    def taken(self) -> dict[str, int]:
        """Return every id that the gateway received, and how often it took a message with it."""
        eventually(
            lambda: self.stack.gateway_stats()["in_flight"] == 0,
            timeout=self.pace.patience,
            what="nothing is on its way to the gateway any more",
        )
        return self.stack.gateway_ids()

    def _post(self, path: str, values: dict[str, Any]) -> None:
        request = Request(self.stack.gateway_url + path, json.dumps(values).encode())
        with urlopen(request, timeout=30):
            pass
