"""Faults of processes: they are killed, or stopped for a while."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ..supervisor import is_alive, send
from ..world import World
from .fault import STARTUP, Fault


class ChildKill(Fault):
    name = "child-kill"
    summary = "SIGKILL one of the worker's processes"
    repeats = True

    def strike(self, world: World) -> None:
        if pid := world.supervisor.child(world.draw(self.name)):
            _kill(world, [pid])


class ArbiterKill(Fault):
    name = "arbiter-kill"
    summary = "SIGKILL the arbiter; a new worker starts while its children finish their jobs"
    pause = 3.0

    def strike(self, world: World) -> None:
        world.supervisor.worker(world.draw(self.name)).signal(signal.SIGKILL)


class HostKill(Fault):
    name = "host-kill"
    summary = "SIGKILL the arbiter and all its children at once, like a power failure"
    repeats = True
    pause = 4.0

    def strike(self, world: World) -> None:
        worker = world.supervisor.worker(world.draw(self.name))
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
        if pid := world.supervisor.child(world.draw(self.name)):
            _stop(world, pid, world.pace.lease + world.pace.past_lease)

    def slack(self, world: World) -> float:
        return world.pace.lease


class LeaseEdge(Fault):
    name = "lease-edge"
    summary = "SIGSTOP for about as long as a lease of one second: a race for the claim"
    repeats = True
    lease = 1.0
    pause = 0.3

    def strike(self, world: World) -> None:
        if pid := world.supervisor.child(world.draw(self.name)):
            _stop(world, pid, world.draw(self.name).uniform(0.7, 1.3) * self.lease)

    def slack(self, world: World) -> float:
        return self.lease


class Parts(ChildKill):
    name = "parts"
    summary = "SIGKILL processes while they push large requests in parts"
    strikes = 3
    in_parts = True

    def count(self, world: World, share: int) -> int:
        return max(1, share // 100)

    def addresses(self, world: World) -> int:
        return 20 * world.pace.part_size

    @contextmanager
    def stage(self, world: World) -> Iterator[dict[str, str]]:
        # A part takes seconds: long enough to be struck, and to end between two strikes.
        world.control_gateway(latency_ms=40_000 / world.pace.part_size, jitter_ms=0)
        yield {"CHAOS_PART_SIZE": str(world.pace.part_size)}
        latency = world.pace.latency_ms
        world.control_gateway(latency_ms=latency, jitter_ms=latency)

    def parts(self, world: World) -> list[tuple[Fault, float]]:
        return [(self, 9.0 / world.pace.haste)]


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
