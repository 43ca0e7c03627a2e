"""Everything at once."""

from __future__ import annotations

from ..world import World
from .fault import Fault
from .gateway import MixedGateway
from .processes import ArbiterKill, ChildKill, ChildStop, HostKill
from .servers import DatabaseRestart, DatabaseTerminate, RedisFlush, RedisRestart


class Everything(Fault):
    name = "everything"
    summary = "everything at once, with two workers"
    repeats = True
    workers = 2

    def parts(self, world: World) -> list[tuple[Fault, float]]:
        parts: list[tuple[Fault, float]] = [
            (ChildKill(), 3.0),
            (ArbiterKill(), 19.0),
            (HostKill(), 31.0),
            (ChildStop(), 11.0),
            (RedisFlush(), 7.0),
            (RedisRestart(), 23.0),
            (DatabaseTerminate(), 5.0),
            (DatabaseRestart(), 29.0),
            (MixedGateway(), 1.0),
        ]
        return [(fault, pause / world.pace.haste) for fault, pause in parts]

    def slack(self, world: World) -> float:
        return world.pace.lease
