"""A program that takes part in a trial, with all the processes it starts, and what they use."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
#: Seconds between two looks at something that is waited for.
POLL = 0.01


class TrialError(Exception):
    """A program did not do its part; the message ends with the tail of its log."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of all processes together; ``rss`` counts what they share in each of them.

    ``largest`` is the resident memory of the one process that has most.
    """

    rss: int = 0
    pss: int = 0
    largest: int = 0

    def peak(self, other: Memory) -> Memory:
        return Memory(
            max(self.rss, other.rss), max(self.pss, other.pss), max(self.largest, other.largest)
        )


class Program:
    """A program in a session of its own, which is how its descendants are found.

    :param cores: the processor cores that it and its descendants run on; none means those that
        this process runs on.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str],
        log: Path,
        cores: Sequence[int] = (),
        orders: bool = False,
    ) -> None:
        self.log = log
        pinned = ["taskset", "-c", ",".join(map(str, cores))] if cores else []
        with log.open("wb") as output:
            self.popen = subprocess.Popen(
                [*pinned, *map(str, command)],
                cwd=ROOT,
                env=dict(environment),
                stdin=subprocess.PIPE if orders else subprocess.DEVNULL,
                stdout=subprocess.PIPE if orders else output,
                stderr=output,
                text=True,
                start_new_session=True,
            )

    def processes(self) -> list[int]:
        """Return the ids of all living processes of its session."""
        # Orphans that nobody has reaped yet do not live.
        return [
            pid
            for pid, fields in _all_processes()
            if int(fields[3]) == self.popen.pid and fields[0] != "Z"
        ]

    def cpu(self) -> float:
        """Return the seconds of CPU that its processes used, those that have ended included."""
        total = 0
        for _, fields in _all_processes():
            if int(fields[3]) == self.popen.pid:
                # utime, stime, and of reaped children: cutime, cstime. See proc(5).
                total += sum(int(value) for value in fields[11:15])
        return total / TICKS

    def memory(self) -> Memory:
        rss = pss = largest = 0
        for pid in self.processes():
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
            except OSError:
                continue  # it has just ended
            values = dict(line.split(":", 1) for line in rollup.splitlines()[1:])
            if "Rss" not in values:
                continue
            own = _kilobytes(values["Rss"])
            rss, pss, largest = rss + own, pss + _kilobytes(values["Pss"]), max(largest, own)
        return Memory(rss, pss, largest)

    def wait_until(self, fact: Callable[[], object], *, timeout: float, what: str) -> None:
        """Wait for ``fact``.

        :raises TrialError: the program ended before, or ``timeout`` seconds went by.
        """
        deadline = time.monotonic() + timeout
        while not fact():
            if self.popen.poll() is not None:
                raise self.failure(f"ended with {self.popen.returncode} before {what}")
            if time.monotonic() > deadline:
                raise self.failure(f"not within {timeout:.0f} s: {what}")
            time.sleep(POLL)

    def first_line(self, timeout: float = 30.0) -> str:
        """Return the first line that it writes."""
        self.wait_until(
            lambda: "\n" in self.log.read_text("utf-8"), timeout=timeout, what="it said something"
        )
        return self.log.read_text("utf-8").splitlines()[0]

    def failure(self, reason: str) -> TrialError:
        tail = self.log.read_text("utf-8", errors="replace").splitlines()[-12:]
        return TrialError("\n    ".join([reason, str(self.log), *tail]))

    def kill(self) -> None:
        """End it and all its descendants at once: what they were to do does not matter."""
        while pids := self.processes():
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(POLL)
        self.popen.wait()
        for pipe in (self.popen.stdin, self.popen.stdout):
            if pipe is not None:
                pipe.close()


def can_pin() -> bool:
    """Whether there are two cores, one for the worker and one for everything else."""
    return len(os.sched_getaffinity(0)) > 1 and shutil.which("taskset") is not None


def _all_processes() -> list[tuple[int, list[str]]]:
    """Return ids and the fields of /proc/<id>/stat after the name: state, ..., session."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            stat = Path(f"/proc/{name}/stat").read_text("utf-8", errors="replace")
        except OSError:
            continue
        found.append((int(name), stat.rpartition(")")[2].split()))
    return found


def _kilobytes(text: str) -> int:
    return int(text.split()[0]) * 1024
