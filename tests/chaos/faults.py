"""The faults that are injected, one class each."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from typing import ClassVar

from redis.exceptions import RedisError

from .supervisor import is_alive, send
from .world import World

#: Seconds that a new worker may need until it is ready.
STARTUP = 5.0


class Fault:
    """Something that goes wrong again and again while push requests come in.

    ``pause`` is the time between two strikes in seconds, ``repeats`` says whether the fault is a
    reason to push a message twice.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    repeats: ClassVar[bool] = False
    pause: ClassVar[float] = 1.0
    #: ``rqgeventworker`` programs that run meanwhile, and the lease of their claims; 0 for the
    #: usual one.
    workers: ClassVar[int] = 1
    lease: ClassVar[float] = 0.0

    def strike(self, world: World) -> None:
        """Break something, once."""

    def heal(self, world: World) -> None:
        """Repair what was broken."""

    def parts(self, world: World) -> list[tuple[Fault, float]]:
        """Return the faults that strike at the same time, each with its pause."""
        return [(self, self.pause)]

    def slack(self, world: World) -> float:
        """Return for how many seconds of a recovery the fault could not have been noticed."""
        return 0.0


class ChildKill(Fault):
    name = "child-kill"
    summary = "SIGKILL one of the worker's processes"
    repeats = True

    def strike(self, world: World) -> None:
        if pid := world.supervisor.child():
            _kill(world, [pid])


class ArbiterKill(Fault):
    name = "arbiter-kill"
    summary = "SIGKILL the arbiter; a new worker starts while its children finish their jobs"
    pause = 3.0

    def strike(self, world: World) -> None:
        world.supervisor.worker().signal(signal.SIGKILL)


class HostKill(Fault):
    name = "host-kill"
    summary = "SIGKILL the arbiter and all its children at once, like a power failure"
    repeats = True
    pause = 4.0

    def strike(self, world: World) -> None:
        worker = world.supervisor.worker()
        children = world.supervisor.children(worker)
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        _await_death(children)
        world.struck(*children)

    def slack(self, world: World) -> float:
        return STARTUP


class ChildStop(Fault):
    name = "child-stop"
    summary = "SIGSTOP a process until its lease has expired, then SIGCONT: it must change nothing"
    repeats = True

    def strike(self, world: World) -> None:
        if pid := world.supervisor.child():
            _stop(world, pid, world.pace.lease + world.pace.past_lease)

    def slack(self, world: World) -> float:
        return world.pace.lease


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


class GatewayFault(Fault):
    """The gateway fails a share of the messages, until all are submitted."""

    errors: ClassVar[dict[str, float]]

    def strike(self, world: World) -> None:
        world.control_gateway(errors=self.errors, retry_after=1)

    def heal(self, world: World) -> None:
        world.control_gateway(errors={})


class GatewayErrors(GatewayFault):
    name = "gateway-500"
    summary = "half of the messages are answered with 500"
    errors: ClassVar = {"500": 0.5}


class GatewayThrottles(GatewayFault):
    name = "gateway-429"
    summary = "half of the messages are answered with 429 and Retry-After"
    errors: ClassVar = {"429": 0.5}


class GatewayResets(GatewayFault):
    name = "gateway-reset"
    summary = "a third of the connections are cut, before or after the message was taken"
    repeats = True
    errors: ClassVar = {"reset": 0.17, "lost": 0.17}


class GatewaySilence(GatewayFault):
    name = "gateway-silent"
    summary = "a tenth of the messages are never answered"
    repeats = True
    errors: ClassVar = {"hang": 0.1}


class LeaseEdge(Fault):
    name = "lease-edge"
    summary = "SIGSTOP for about as long as a lease of one second: a race for the claim"
    repeats = True
    lease = 1.0
    pause = 0.3

    def strike(self, world: World) -> None:
        if pid := world.supervisor.child():
            _stop(world, pid, random.uniform(0.7, 1.3) * self.lease)

    def slack(self, world: World) -> float:
        return self.lease


class TwoWorkers(RedisFlush):
    name = "two-workers"
    summary = "FLUSHALL with two workers: the relay loses its lease, too, so two may sweep"
    workers = 2


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


class MixedGateway(GatewayFault):
    errors: ClassVar = {"500": 0.05, "429": 0.05, "reset": 0.02, "lost": 0.02, "hang": 0.01}


def _kill(world: World, pids: list[int]) -> None:
    for pid in pids:
        send(pid, signal.SIGKILL)
    _await_death(pids)
    world.struck(*pids)


def _stop(world: World, pid: int, seconds: float) -> None:
    """Stop a process for that long."""
    send(pid, signal.SIGSTOP)
    claimed = world.struck(pid)
    time.sleep(seconds)
    world.remember(claimed)
    send(pid, signal.SIGCONT)


def _await_death(pids: list[int]) -> None:
    while any(is_alive(pid) for pid in pids):
        time.sleep(0.001)


FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        ChildKill(),
        ArbiterKill(),
        HostKill(),
        ChildStop(),
        RedisFlush(),
        RedisRestart(),
        DatabaseTerminate(),
        DatabaseRestart(),
        GatewayErrors(),
        GatewayThrottles(),
        GatewayResets(),
        GatewaySilence(),
        LeaseEdge(),
        TwoWorkers(),
        Everything(),
    )
}
