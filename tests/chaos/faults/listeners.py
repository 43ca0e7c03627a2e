"""Faults of what third parties are told, and of which site tells it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from uuid import UUID

from tests.support.stack import Stack

from ..audit import Row
from ..neighbour import GO
from ..supervisor import Supervisor, send
from ..world import World
from .fault import Fault
from .processes import ChildKill
from .servers import DatabaseTerminate, RedisFlush


class Callbacks(Fault):
    name = "callbacks"
    summary = "an endpoint is called about every request, whatever strikes meanwhile"
    repeats = True

    @contextmanager
    def stage(self, world: World) -> Iterator[dict[str, str]]:
        # It needs the settings.
        from ..audience import Audience

        self._audience = Audience(_receiver(world.stack))
        self.fields = {"client": self._audience.client}
        try:
            yield {}
        finally:
            self._audience.close()

    def parts(self, world: World) -> list[tuple[Fault, float]]:
        return [(ChildKill(), 1.3), (RedisFlush(), 1.0), (DatabaseTerminate(), 0.7)]

    def audit(self, world: World, rows: Mapping[UUID, Row]) -> Iterator[str]:
        yield from self._audience.problems(rows, world.pace.patience)


class TwoSites(Callbacks):
    name = "two-sites"
    summary = "FLUSHALL and kills while another site works with the same Redis: nothing crosses"

    def count(self, world: World, share: int) -> int:
        self._program = self._stack.python(
            *("-m", "tests.chaos.neighbour", self._receiver),
            *(str(share), str(world.pace.rate), str(world.pace.patience)),
        )
        self._program.says("ready")
        return share

    @contextmanager
    def stage(self, world: World) -> Iterator[dict[str, str]]:
        folder = world.folder / "neighbour"
        folder.mkdir()
        self._stack = Stack(
            folder,
            world.stack.environment
            | {
                "CHAOS_FOLDER": str(folder),
                "CHAOS_QUEUE": "neighbour",
                "DATABASE_URL": world.postgres.create("neighbour"),
            },
        )
        with ExitStack() as exits, super().stage(world) as environment:
            exits.callback(self._stack.close)
            migrated = self._stack.manage("migrate", "-v0")
            assert migrated.wait(60) == 0, migrated.output
            self._stack.gateway(world.pace.latency_ms)
            self._receiver = _receiver(self._stack)
            self._supervisor = Supervisor(self._stack)
            exits.callback(self._supervisor.close)
            self._supervisor.staff({})
            yield environment

    def parts(self, world: World) -> list[tuple[Fault, float]]:
        return [(self, self.pause), (ChildKill(), 1.3)]

    def strike(self, world: World) -> None:
        (self._stack.folder / GO).touch()
        RedisFlush().strike(world)
        if pid := self._supervisor.child(world.draw(self.name)):
            send(pid, signal.SIGKILL)

    def audit(self, world: World, rows: Mapping[UUID, Row]) -> Iterator[str]:
        yield from super().audit(world, rows)
        (found,) = self._program.says(r"problems: (.*)", timeout=2 * world.pace.patience)
        yield from (f"the other site: {problem}" for problem in json.loads(found))


def _receiver(stack: Stack) -> str:
    """Start a receiver of callbacks and return its URL."""
    (url,) = stack.python("-m", "tests.support.receiver").says(r"^(http\S+)$")
    return url
