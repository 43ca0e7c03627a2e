"""The arbiter: forks the children, replaces the dead and the hung, stops them all.

It does nothing else, so that nothing else can bring it down: no Django, no gevent, no network.
Signals are blocked, and fetched one by one where the loop waits for them, so none can arrive at a
bad moment.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

# gevent replaces these in ``os`` by versions that bring in its event loop, which must not turn on
# this side of the fork.
from posix import fork, waitpid, waitstatus_to_exitcode
from types import FrameType

from .exitcodes import ExitCode
from .heartbeat import Heart
from .options import WorkerOptions

logger = logging.getLogger(__name__)

SIGNALS = {
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGCHLD,
    signal.SIGALRM,
}
#: Seconds between two looks at the hearts.
TICK = 1.0
#: Seconds a child has to obey a cold stop, or to dump its stacks, before it is killed.
LAST_WORDS = 3.0
#: Boots that may fail in a row, with no child up in between, before the arbiter gives up.
MAX_BOOT_FAILURES = 5
#: Seconds before a replacement: doubles with each death in a row, up to the cap.
BACKOFF_BASE, BACKOFF_CAP = 0.5, 30.0
#: A child that lived so long did not die of its birth.
STABLE_AFTER = 10.0


@dataclass(slots=True)
class Child:
    """A living child, as the arbiter sees it."""

    pid: int
    slot: int
    heart: Heart
    born_at: float = field(default_factory=time.monotonic)
    kill_at: float | None = None


@dataclass(frozen=True, slots=True)
class Seat:
    """What a child is told at birth.

    :param slot: 0 .. processes - 1; the child that replaces another has the same one.
    :param name: the name under which RQ shall know it; no two children ever share one.
    """

    slot: int
    name: str
    arbiter_pid: int
    heart: Heart


class Arbiter:
    """Keeps ``options.processes`` children alive, each of which runs ``life(seat)``.

    ``life`` returns the exit code of the child; one other than RECYCLE with status OK means that
    it has done its work and is not to be replaced.
    """

    def __init__(self, options: WorkerOptions, life: Callable[[Seat], int]) -> None:
        self.options = options
        self.life = life
        self.pid = os.getpid()
        self.target = options.processes
        self.children: dict[int, Child] = {}
        self.finished: set[int] = set()
        self.stopping: str | None = None
        self.exit_code = ExitCode.OK
        self._noted: deque[int] = deque()
        self._deaths = 0
        self._boot_failures = 0
        self._spawn_at = 0.0
        self._stop_by = 0.0

    def run(self) -> int:
        """Work until told to stop, or until no child has anything left to do."""
        logger.info(
            "Arbiter %s [%d]: %d processes with %d jobs at a time each, on %s",
            self.options.name,
            self.pid,
            self.target,
            self.options.concurrency,
            ", ".join(self.options.queues),
        )
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        # The mask is this thread's. Should some library have started another one, a signal may
        # reach that; then it is noted, and found at the next tick.
        handlers = {s: signal.signal(s, self._note) for s in SIGNALS - {signal.SIGCHLD}}
        try:
            while self._turn():
                self._handle(self._wait())
                while self._noted:
                    self._handle(self._noted.popleft())
        finally:
            self._kill_all()
            for signum, handler in handlers.items():
                signal.signal(signum, handler)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        logger.info("Arbiter %s: stopped, exit code %d", self.options.name, self.exit_code)
        return self.exit_code

    def _turn(self) -> bool:
        """Do what is due; return whether there is anything left to wait for."""
        self._reap()
        self._watch()
        if self.stopping is None:
            self._resize()
            return bool(self.children) or len(self.finished) < self.target
        if self.children and time.monotonic() >= self._stop_by and self.stopping == "warm":
            logger.warning("Arbiter: %d processes still busy", len(self.children))
            self._stop("cold")
        return bool(self.children)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self._noted.append(signum)

    def _wait(self) -> int:
        signal.setitimer(signal.ITIMER_REAL, TICK)
        return signal.sigwait(SIGNALS)

    def _handle(self, signum: int) -> None:
        if signum in (signal.SIGTERM, signal.SIGINT):
            self._stop("warm" if self.stopping is None else "cold")
        elif signum == signal.SIGTTIN and self.stopping is None:
            self.target += 1
            logger.info("Arbiter: now %d processes", self.target)
        elif signum == signal.SIGTTOU and self.stopping is None and self.target > 1:
            self.target -= 1
            logger.info("Arbiter: now %d processes", self.target)

    # Birth.

    def _resize(self) -> None:
        taken = {child.slot for child in self.children.values()}
        for slot in range(self.target):
            if slot in taken or slot in self.finished:
                continue
            if time.monotonic() < self._spawn_at:
                return
            self._spawn(slot)
        for child in self.children.values():
            if child.slot >= self.target and child.kill_at is None:
                self._retire(child)

    def _spawn(self, slot: int) -> None:
        heart = Heart()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = fork()
        if pid == 0:
            self._be_born(slot, heart)
        self.children[pid] = Child(pid, slot, heart)
        logger.info("Arbiter: process %d started in slot %d", pid, slot)

    def _be_born(self, slot: int, heart: Heart) -> None:
        """The child's side of the fork; never returns."""
        code: int = ExitCode.CRASHED
        try:
            name = f"{self.options.name}.{slot}.{os.getpid()}"
            code = self.life(Seat(slot, name, self.pid, heart))
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else ExitCode.CRASHED
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            # Not sys.exit(): what the parent registered with atexit is the parent's.
            os._exit(code)

    # Life and death.

    def _watch(self) -> None:
        now = time.monotonic()
        for child in self.children.values():
            if child.kill_at is not None and now >= child.kill_at:
                _send(child.pid, signal.SIGKILL)
            elif child.heart.silence > self.options.hang_timeout and (
                child.kill_at is None or child.kill_at > now + LAST_WORDS
            ):
                logger.error(
                    "Arbiter: process %d hangs since %.0f s, it is killed and replaced",
                    child.pid,
                    child.heart.silence,
                )
                # The fault handler of the child writes its stacks on SIGABRT.
                _send(child.pid, signal.SIGABRT)
                child.kill_at = now + LAST_WORDS

    def _reap(self) -> None:
        while True:
            try:
                pid, status = waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            # As process 1 of a container we also inherit the orphans of others.
            if child := self.children.pop(pid, None):
                self._bury(child, waitstatus_to_exitcode(status))
                child.heart.close()

    def _bury(self, child: Child, code: int) -> None:
        if child.heart.ready:
            self._boot_failures = 0
        if code in (ExitCode.OK, ExitCode.RECYCLE):
            logger.info("Arbiter: process %d ended", child.pid)
            self._deaths = 0
            if code == ExitCode.OK and child.slot < self.target:
                self.finished.add(child.slot)
            return
        reason = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        logger.error("Arbiter: process %d died: %s", child.pid, reason)
        if self.stopping is not None:
            return
        if not child.heart.ready:
            self._boot_failures += 1
            if self._boot_failures >= MAX_BOOT_FAILURES:
                logger.critical("Arbiter: processes cannot boot, giving up")
                self.exit_code = ExitCode.CANNOT_BOOT
                self._stop("warm")
                return
        stable = time.monotonic() - child.born_at >= STABLE_AFTER
        self._deaths = 0 if stable else self._deaths + 1
        if self._deaths > 1:
            delay = min(BACKOFF_CAP, BACKOFF_BASE * 2 ** (self._deaths - 2))
            self._spawn_at = time.monotonic() + delay

    # The end.

    def _retire(self, child: Child) -> None:
        """Warm stop of one child, with an end."""
        _send(child.pid, signal.SIGTERM)
        child.kill_at = time.monotonic() + self.options.graceful_timeout + LAST_WORDS

    def _stop(self, how: str) -> None:
        self.stopping = how
        logger.info("Arbiter: %s stop of %d processes", how, len(self.children))
        self._stop_by = time.monotonic() + self.options.graceful_timeout
        for child in self.children.values():
            if how == "warm":
                self._retire(child)
            else:
                _send(child.pid, signal.SIGQUIT)
                child.kill_at = time.monotonic() + LAST_WORDS

    def _kill_all(self) -> None:
        """Leave nobody behind, whatever happened to us."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        for child in self.children.values():
            _send(child.pid, signal.SIGKILL)
            waitpid(child.pid, 0)


def _send(pid: int, signum: int) -> None:
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        pass
