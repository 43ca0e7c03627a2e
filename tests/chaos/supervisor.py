"""Takes the place of systemd or Kubernetes: restarts a worker that has ended."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from pathlib import Path
from random import Random

from tests.support.stack import Program, Stack
from tests.support.waiting import eventually

#: Seconds between two checks of the workers.
LOOK = 0.1
PROCESSES = 2


class Supervisor:
    """Keeps a number of ``rqgeventworker`` programs alive, two processes each."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._workers: list[Program] = []
        self._environments: list[dict[str, str]] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._thread.start()

    def staff(self, *environments: dict[str, str]) -> None:
        """Make sure that a worker with each of these environments is ready."""
        if list(environments) != self._environments:
            self.dismiss()
            with self._lock:
                self._environments = list(environments)
                self._workers = [self._start(environment) for environment in environments]
        eventually(
            lambda: all(self._is_ready(worker) for worker in self.workers()),
            timeout=60,
            what="all workers are ready",
        )

    def workers(self) -> list[Program]:
        with self._lock:
            return list(self._workers)

    def children(self, worker: Program | None = None) -> list[int]:
        """Return the process ids of the living children, of all workers or of one."""
        found: list[int] = []
        for program in self.workers() if worker is None else [worker]:
            # Without a living arbiter there is nobody to ask.
            with suppress(OSError):
                found += filter(is_alive, program.children())
        return found

    def child(self, draw: Random) -> int | None:
        """Return one of the living children, or None where there are none."""
        children = self.children()
        return draw.choice(children) if children else None

    def worker(self, draw: Random) -> Program:
        return draw.choice(self.workers())

    def dismiss(self) -> None:
        """Stop all workers, as a stop of the service does."""
        with self._lock:
            workers, self._workers, self._environments = self._workers, [], []
        for worker in workers:
            worker.signal(signal.SIGTERM)
        for worker in workers:
            worker.wait(60)
            worker.end()

    def close(self) -> None:
        self._over.set()
        self._thread.join()

    def tracebacks(self) -> list[str]:
        """Return the last lines of the tracebacks in all logs."""
        found = []
        for log in Path(self._stack.folder).rglob("*.log"):
            _, *parts = log.read_text(errors="replace").split("Traceback (most recent call last):")
            for part in parts:
                lines = part.splitlines()[1:]
                found.append(next((line for line in lines if line[:1] not in " \t"), ""))
        return found

    def _start(self, environment: dict[str, str]) -> Program:
        return self._stack.manage("rqgeventworker", "--processes", str(PROCESSES), **environment)

    def _is_ready(self, worker: Program) -> bool:
        return len(self.children(worker)) == PROCESSES and "is ready" in worker.output

    def _watch(self) -> None:
        while not self._over.wait(LOOK):
            with self._lock:
                self._workers = [
                    worker if worker.popen.poll() is None else self._start(environment)
                    for worker, environment in zip(self._workers, self._environments, strict=True)
                ]


def is_alive(pid: int) -> bool:
    """Return whether a process is running; one that is dead but not reaped is not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def send(pid: int, signum: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signum)
