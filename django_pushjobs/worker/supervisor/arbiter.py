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
from contextlib import suppress
from dataclasses import dataclass, field

# gevent replaces these in ``os`` by versions that bring in its event loop, which must not turn on
# this side of the fork.
from posix import fork, waitpid, waitstatus_to_exitcode
from types import FrameType

from .exitcodes import ExitCode
from .heartbeat import Heart
from .notify import notify
from .options import WorkerOptions

logger = logging.getLogger(__name__)

SIGNALS = {
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGUSR1,
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
#: Seconds before a replacement where one death follows another: doubles with each boot that fails
#: in a row, up to the cap. One that had booted was doing work that waits now.
BACKOFF_BASE, BACKOFF_CAP = 0.5, 30.0
#: A child that lived so long did not die of its birth.
STABLE_AFTER = 10.0

#: Process ids of the children that this process had before it was started anew by a reload.
VETERANS = "DJANGO_PUSHJOBS_VETERANS"
#: Set where a process shall only find out whether the code would start.
PROBE = "DJANGO_PUSHJOBS_PROBE"


@dataclass(frozen=True, slots=True)
class Seat:
    """What a child is told at birth.

    :param slot: 0 .. processes - 1; the child that replaces another has the same one.
    :param name: the first part of its name in RQ; with the process id no two ever share one.
    :param fallen: RQ names of children that died; what they ran is to be recovered.
    """

    slot: int
    name: str
    arbiter_pid: int
    heart: Heart
    fallen: tuple[str, ...] = ()

    def worker_name(self, pid: int) -> str:
        """Return the name under which RQ knows the child with this process id."""
        return f"{self.name}.{self.slot}.{pid}"


@dataclass(slots=True)
class Child:
    """A living child, as the arbiter sees it."""

    pid: int
    seat: Seat
    born_at: float = field(default_factory=time.monotonic)
    #: Signals it is to get, and when; empty while it has nothing to fear.
    sentence: list[tuple[float, signal.Signals]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.seat.worker_name(self.pid)


class Arbiter:
    """Keeps ``options.processes`` children alive, each of which runs ``life(seat)``.

    ``life`` returns the exit code of the child: OK where it has nothing left to do and is not to
    be replaced, anything else where it is.
    """

    def __init__(self, options: WorkerOptions, life: Callable[[Seat], int]) -> None:
        self.options = options
        self.life = life
        self.pid = os.getpid()
        self.target = options.processes
        self.children: dict[int, Child] = {}
        #: Children from before a reload: they work until the new ones are ready.
        self.veterans = {int(pid) for pid in os.environ.pop(VETERANS, "").split(",") if pid}
        self.finished: set[int] = set()
        self.stopping: str | None = None
        self.exit_code = ExitCode.OK
        self._fallen: dict[str, None] = {}
        self._noted: deque[int] = deque()
        self._probe_pid = 0
        self._announced = False
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
            # In this order: what is still pending, say the last alarm, is noted and kills nobody.
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            for signum, handler in handlers.items():
                signal.signal(signum, handler)
        logger.info("Arbiter %s: stopped, exit code %d", self.options.name, self.exit_code)
        return self.exit_code

    def _turn(self) -> bool:
        """Do what is due; return whether there is anything left to wait for."""
        self._reap()
        self._watch()
        if self.stopping is None:
            self._resize()
            self._announce()
            return bool(self.children) or len(self.finished) < self.target
        if self.stopping == "warm" and time.monotonic() >= self._stop_by and self.children:
            logger.warning("Arbiter: %d processes are still busy", len(self.children))
            self._stop("cold")
        return bool(self.children or self.veterans)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self._noted.append(signum)

    def _wait(self) -> int:
        until_spawn = self._spawn_at - time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, until_spawn if 0 < until_spawn < TICK else TICK)
        return signal.sigwait(SIGNALS)

    def _handle(self, signum: int) -> None:
        if signum in (signal.SIGTERM, signal.SIGINT):
            self._stop("warm" if self.stopping is None else "cold")
        elif signum == signal.SIGUSR1:
            for pid in self.children:
                _send(pid, signal.SIGUSR1)
        elif self.stopping is not None:
            pass
        elif signum == signal.SIGHUP:
            self._probe()
        elif signum == signal.SIGTTIN:
            self.target += 1
            logger.info("Arbiter: now %d processes", self.target)
        elif signum == signal.SIGTTOU and self.target > 1:
            self.target -= 1
            logger.info("Arbiter: now %d processes", self.target)

    # Birth.

    def _resize(self) -> None:
        taken = {child.seat.slot for child in self.children.values()}
        for slot in range(self.target):
            if slot in taken or slot in self.finished:
                continue
            if time.monotonic() < self._spawn_at:
                return
            self._spawn(slot)
        for child in self.children.values():
            child.seat.heart.alone = len(self.finished) >= self.target - 1
            if child.seat.slot >= self.target and not child.sentence:
                self._retire(child)

    def _spawn(self, slot: int) -> None:
        seat = Seat(slot, self.options.name, self.pid, Heart(), tuple(self._fallen))
        sys.stdout.flush()
        sys.stderr.flush()
        pid = fork()
        if pid == 0:
            self._be_born(seat)
        self.children[pid] = Child(pid, seat)
        logger.info("Arbiter: process %d started in slot %d", pid, slot)

    def _be_born(self, seat: Seat) -> None:
        """The child's side of the fork; never returns."""
        code: int = ExitCode.CRASHED
        try:
            code = self.life(seat)
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else ExitCode.CRASHED
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            # Not sys.exit(): what the parent registered with atexit is the parent's.
            os._exit(code)

    def _announce(self) -> None:
        """Tell systemd how we are, and let veterans go once they are relieved."""
        ready = [child for child in self.children.values() if child.seat.heart.ready]
        for child in ready:
            # It does not beat before it has recovered what it was told to.
            for name in child.seat.fallen:
                self._fallen.pop(name, None)
        relieved = len(ready) >= self.target
        if relieved and not self._announced:
            self._announced = True
            notify("READY=1", f"STATUS={len(ready)} processes")
            for pid in self.veterans:
                logger.info("Arbiter: process %d is relieved", pid)
                _send(pid, signal.SIGTERM)
        notify("WATCHDOG=1")

    # Life and death.

    def _watch(self) -> None:
        now = time.monotonic()
        for child in self.children.values():
            heart = child.seat.heart
            if heart.silence > self.options.hang_timeout and not _is_condemned(child):
                logger.error(
                    "Arbiter: process %d hangs since %.0f s, it is killed and replaced",
                    child.pid,
                    heart.silence,
                )
                # First it may write the stacks of all greenlets. If it cannot, its fault handler
                # writes those of the threads, for which it does not need the interpreter.
                child.sentence = [
                    (now, signal.SIGUSR1),
                    (now + LAST_WORDS / 2, signal.SIGABRT),
                    (now + LAST_WORDS, signal.SIGKILL),
                ]
            while child.sentence and now >= child.sentence[0][0]:
                _, signum = child.sentence[0]
                _send(child.pid, signum)
                if signum == signal.SIGKILL:
                    break
                del child.sentence[0]

    def _reap(self) -> None:
        while True:
            try:
                pid, status = waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self.veterans.clear()
                return
            if pid == 0:
                return
            # As process 1 of a container we also inherit the orphans of others.
            self.veterans.discard(pid)
            if pid == self._probe_pid:
                self._reload(waitstatus_to_exitcode(status))
            elif child := self.children.pop(pid, None):
                self._bury(child, waitstatus_to_exitcode(status))
                child.seat.heart.close()

    def _bury(self, child: Child, code: int) -> None:
        if child.seat.heart.ready:
            self._boot_failures = 0
        if code in (ExitCode.OK, ExitCode.RECYCLE):
            logger.info("Arbiter: process %d ended", child.pid)
            self._deaths = 0
            if code == ExitCode.OK and child.seat.slot < self.target and not child.sentence:
                self.finished.add(child.seat.slot)
            return
        reason = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        logger.error("Arbiter: process %d died: %s", child.pid, reason)
        self._fallen[child.name] = None
        if self.stopping is not None:
            return
        if not child.seat.heart.ready:
            self._boot_failures += 1
            if self._boot_failures >= MAX_BOOT_FAILURES and not self.veterans:
                logger.critical("Arbiter: processes cannot boot, giving up")
                self.exit_code = ExitCode.CANNOT_BOOT
                self._stop("warm")
                return
        stable = time.monotonic() - child.born_at >= STABLE_AFTER
        self._deaths = 0 if stable else self._deaths + 1
        if self._deaths > 1:
            doublings = max(0, self._boot_failures - 2)
            self._spawn_at = time.monotonic() + min(BACKOFF_CAP, BACKOFF_BASE * 2**doublings)

    # New code.

    def _probe(self) -> None:
        """Find out, in a process of its own, whether the code on disk would start."""
        if self._probe_pid:
            return
        logger.info("Arbiter: reload asked for, trying the new code")
        pid = fork()
        if pid == 0:
            try:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
                _exec({PROBE: "1"})
            finally:
                os._exit(ExitCode.CRASHED)
        self._probe_pid = pid

    def _reload(self, code: int) -> None:
        """Become the new code, under the same process id, with the children we have.

        They go on working; the new image has them drain once children of its own are ready.
        """
        self._probe_pid = 0
        if code != ExitCode.OK:
            logger.error("Arbiter: the new code does not start, the old one goes on")
            return
        logger.info("Arbiter: starting anew with the new code")
        notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1_000}")
        signal.setitimer(signal.ITIMER_REAL, 0)
        veterans = ",".join(str(pid) for pid in {*self.children, *self.veterans})
        # The mask outlives the exec, and so no signal is lost meanwhile; but whoever starts a
        # process while modules are imported needs to hear that it ended.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        try:
            _exec({VETERANS: veterans})
        except OSError as error:
            logger.error("Arbiter: could not start anew: %s", error)
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})

    # The end.

    def _retire(self, child: Child) -> None:
        """Warm stop of one child, with an end."""
        now = time.monotonic()
        _send(child.pid, signal.SIGTERM)
        end = now + self.options.graceful_timeout + LAST_WORDS
        child.sentence = [(end, signal.SIGQUIT), (end + LAST_WORDS, signal.SIGKILL)]

    def _stop(self, how: str) -> None:
        self.stopping = how
        now = time.monotonic()
        logger.info("Arbiter: %s stop of %d processes", how, len(self.children))
        notify("STOPPING=1")
        self._stop_by = now + self.options.graceful_timeout
        for child in self.children.values():
            if how == "warm":
                self._retire(child)
            else:
                child.sentence = [(now, signal.SIGQUIT), (now + LAST_WORDS, signal.SIGKILL)]
        for pid in self.veterans:
            _send(pid, signal.SIGTERM if how == "warm" else signal.SIGQUIT)
        self._watch()

    def _kill_all(self) -> None:
        """Leave nobody behind, whatever happened to us."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        for pid in {*self.children, *self.veterans}:
            _send(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                waitpid(pid, 0)


def _is_condemned(child: Child) -> bool:
    """Whether it is to be killed soon anyway."""
    return bool(child.sentence) and child.sentence[-1][0] <= time.monotonic() + LAST_WORDS


def _exec(environment: dict[str, str]) -> None:
    """Start the program of this process again, in its place."""
    sys.stdout.flush()
    sys.stderr.flush()
    program = [sys.executable, *sys.orig_argv[1:]]
    os.execve(sys.executable, program, os.environ | environment)  # noqa: S606


def _send(pid: int, signum: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signum)
