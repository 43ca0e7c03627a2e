"""What the arbiter knows about its children, and how it signals them."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field

from .heartbeat import Heart

#: Seconds a child has to obey a cold stop, or to dump its stacks, before it is killed.
LAST_WORDS = 3.0


@dataclass(frozen=True, slots=True)
class Fallen:
    """A child that died.

    :param pid: its process id.
    :param name: its name in RQ.
    :param culprit: id of the job that had blocked it until it was killed; "" if nobody can tell.
    :param silence: seconds for which it had not responded by then.
    """

    pid: int
    name: str
    culprit: str = ""
    silence: float = 0.0


@dataclass(frozen=True, slots=True)
class Seat:
    """What a child is given at its birth.

    :param number: 0 .. processes - 1; a child that replaces another one takes over its number.
    :param name: the first part of its name in RQ; with the process id it is unique.
    :param fallen: children that died; the new child recovers what they were doing.
    """

    number: int
    name: str
    arbiter_pid: int
    heart: Heart
    fallen: tuple[Fallen, ...] = ()

    def worker_name(self, pid: int) -> str:
        """Return the name under which RQ knows the child with this process id."""
        return f"{self.name}.{self.number}.{pid}"


@dataclass(slots=True)
class ChildRecord:
    """A living child, as the arbiter sees it."""

    pid: int
    seat: Seat
    born_at: float = field(default_factory=time.monotonic)
    #: It is killed since it does not respond.
    hangs: bool = False
    #: Signals still to be sent, each with its time on the monotonic clock, in order.
    pending_signals: list[tuple[float, signal.Signals]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its name in RQ."""
        return self.seat.worker_name(self.pid)

    @property
    def is_doomed(self) -> bool:
        """Whether it will be killed within :data:`LAST_WORDS` seconds anyway."""
        if not self.pending_signals:
            return False
        return self.pending_signals[-1][0] <= time.monotonic() + LAST_WORDS

    def stop_warm(self, timeout: float) -> None:
        """Tell it to drain; its jobs are terminated if that takes longer than ``timeout``."""
        send(self.pid, signal.SIGTERM)
        end = time.monotonic() + timeout + LAST_WORDS
        self.pending_signals = [(end, signal.SIGQUIT), (end + LAST_WORDS, signal.SIGKILL)]

    def stop_cold(self) -> None:
        """Have it terminate its jobs and exit."""
        now = time.monotonic()
        self.pending_signals = [(now, signal.SIGQUIT), (now + LAST_WORDS, signal.SIGKILL)]

    def dump_and_kill(self) -> None:
        """Kill it, once it has had the chance to write its stacks to the log.

        First it may write the stacks of all greenlets. If it cannot, its fault handler writes
        those of the threads, which works without the interpreter.
        """
        now = time.monotonic()
        self.hangs = True
        self.pending_signals = [
            (now, signal.SIGUSR1),
            (now + LAST_WORDS / 2, signal.SIGABRT),
            (now + LAST_WORDS, signal.SIGKILL),
        ]

    def obituary(self, timeout: float) -> Fallen:
        """Return what its successor has to know of it.

        :param timeout: seconds after which a child that does not respond is killed.
        """
        heart = self.seat.heart
        culprit = heart.culprit(timeout) if self.hangs else ""
        return Fallen(self.pid, self.name, culprit, heart.silence)

    def send_due_signals(self) -> None:
        """Send the pending signals whose time has come; SIGKILL is sent until it is reaped."""
        now = time.monotonic()
        while self.pending_signals and now >= self.pending_signals[0][0]:
            _, signum = self.pending_signals[0]
            send(self.pid, signum)
            if signum == signal.SIGKILL:
                return
            del self.pending_signals[0]


def send(pid: int, signum: int) -> None:
    """Send a signal to a process that may be gone already."""
    with suppress(ProcessLookupError):
        os.kill(pid, signum)
