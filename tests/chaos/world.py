"""All that the harness runs, and with which it can do what it wants."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
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

    :param rate: push requests a second that are submitted.
    :param latency_ms: of the gateway; as much again is added at random.
    :param lease: of a claim.
    :param past_lease: how much longer than its lease a process is stopped.
    :param recovery: in which nineteen of twenty requests of a killed process must be recovered.
    :param haste: how much shorter than usual are the pauses where everything strikes at once.
    :param patience: in which all must have ended once nothing is broken any more.
    """

    rate: float
    latency_ms: int = 300
    lease: float
    past_lease: float = 5.0
    recovery: float = 5.0
    patience: float = 180.0
    haste: float = 1.0
    relay_interval: float = 1.0
    lost_job_after: float = 5.0


class World:
    """Servers, gateway and workers; entered, everything but the workers is there."""

    def __init__(self, folder: Path, pace: Pace) -> None:
        self.folder = folder
        self.pace = pace
        #: Of those who use the database server itself, one at a time.
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
            self.stack.gateway(self.pace.latency_ms, **{"jitter-ms": str(self.pace.latency_ms)})
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

    def begin(self, recoveries: Recoveries, fence: Fence) -> None:
        """Forget what was, for the next trial; these two look on."""
        self.recoveries = recoveries
        self.fence = fence
        self._post("/reset", {})

    def struck(self, *pids: int) -> list[UUID]:
        """Note that these processes are dead or stand still, and return what they had claimed."""
        return self.recoveries.struck(pids)

    def remember(self, claimed: list[UUID]) -> None:
        """Note what stands in these rows, for a process comes back that had claimed them."""
        self.fence.remember(claimed)

    def control_gateway(self, **values: Any) -> None:
        """Change how the gateway answers; see ``POST /control`` of the simulator."""
        self._post("/control", values)

    def taken(self) -> dict[str, int]:
        """Return every id that the gateway received and how often it took a message with it."""
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
