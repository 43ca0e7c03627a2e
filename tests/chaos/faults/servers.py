"""Faults of the servers that we depend on: Redis and the database."""

from __future__ import annotations

import signal
import time
from contextlib import suppress

from redis.exceptions import RedisError

from ..world import World
from .fault import Fault


class RedisFlush(Fault):
    name = "redis-flush"
    summary = "FLUSHALL: all jobs, and everything RQ knows, are gone"

    def strike(self, world: World) -> None:
        with suppress(RedisError):
            world.stack.redis.flushall()


class RedisRestart(Fault):
    name = "redis-restart"
    summary = "SIGKILL Valkey; a second later it is back, but empty"
    pause = 2.0

    def strike(self, world: World) -> None:
        world.valkey.kill()
        time.sleep(1.0)
        world.valkey.start()


class RedisHang(Fault):
    name = "redis-hang"
    summary = "SIGSTOP Valkey for 5 s, then SIGCONT: submissions are answered meanwhile"
    prompt = True

    def strike(self, world: World) -> None:
        world.valkey.signal(signal.SIGSTOP)
        time.sleep(5.0)
        world.valkey.signal(signal.SIGCONT)


class DatabaseTerminate(Fault):
    name = "db-terminate"
    summary = "pg_terminate_backend for every connection"

    def strike(self, world: World) -> None:
        with world.database_lock:
            world.postgres.terminate_connections()


class DatabaseRestart(Fault):
    name = "db-restart"
    summary = "PostgreSQL crashes, and is down for longer than a lease"
    pause = 2.0
    lease = 1.0

    def strike(self, world: World) -> None:
        with world.database_lock:
            world.postgres.crash()
            time.sleep(2.5)
            world.postgres.start()


class DatabaseHang(Fault):
    name = "db-hang"
    summary = "SIGSTOP all of PostgreSQL for longer than a lease, then SIGCONT"
    pause = 2.0
    lease = 1.0

    def strike(self, world: World) -> None:
        with world.database_lock, world.postgres.stopped():
            time.sleep(2.5)


class TwoWorkers(RedisFlush):
    name = "two-workers"
    summary = "FLUSHALL with two workers: the relay loses its lease, too, so two may sweep"
    workers = 2
