"""Faults of what lies between us and the database: a replica that is late, a pool that restarts."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from uuid import UUID

from django.db import connections, router

from tests.support.replicas import ReplicaRouter

from ..audit import Row
from ..pool import Pool, find_pgbouncer
from ..replica import DELAY_MS, Replica
from ..servers import pg_program
from ..world import World
from .fault import Fault
from .processes import ChildKill
from .servers import DatabaseTerminate


class ReplicaLate(Fault):
    name = "replica-late"
    summary = f"all reads go to a hot standby that is {DELAY_MS} ms late, says a router"
    repeats = True

    def missing(self) -> str:
        return "" if pg_program("pg_basebackup") else "there is no pg_basebackup"

    @contextmanager
    def stage(self, world: World) -> Iterator[dict[str, str]]:
        with Replica(world.postgres) as self._replica, _routed(self._replica.settings()):
            yield {"CHAOS_REPLICA_URL": self._replica.url}

    def parts(self, world: World) -> list[tuple[Fault, float]]:
        return [(ChildKill(), 1.0), (DatabaseTerminate(), 1.3)]

    def audit(self, world: World, rows: Mapping[UUID, Row]) -> Iterator[str]:
        if not self._replica.has_followed(rows.keys()):
            yield "the replica has not followed, so nothing was late"


class PoolRestart(Fault):
    name = "pgbouncer"
    summary = "SIGKILL the PgBouncer between workers and database; a moment later it is back"

    def missing(self) -> str:
        return "" if find_pgbouncer() else "there is no pgbouncer"

    @contextmanager
    def stage(self, world: World) -> Iterator[dict[str, str]]:
        self._pool = Pool(world.postgres)
        self._pool.start()
        try:
            yield {"CHAOS_POOL_URL": self._pool.url}
        finally:
            self._pool.kill()

    def strike(self, world: World) -> None:
        self._pool.kill()
        time.sleep(0.3)
        self._pool.start()


@contextmanager
def _routed(replica: dict[str, object]) -> Iterator[None]:
    """Let this process read like the workers, too."""
    routers = router.routers
    connections.settings["replica"] = connections["default"].settings_dict | replica
    router.routers = [ReplicaRouter()]
    try:
        yield
    finally:
        router.routers = routers
        connections.close_all()
        del connections.settings["replica"]
