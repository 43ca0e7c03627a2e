"""The arbiter: forks the children, replaces those that die or hang, and stops them all.

It does nothing else, so that nothing else can bring it down: no Django, no gevent, no network.
Its signals are blocked, and fetched one by one where the loop waits, so that none can arrive at a
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

# gevent replaces these in ``os`` with versions that start its event loop, which must not run on
# this side of the fork.
from posix import fork, waitpid, waitstatus_to_exitcode
from types import FrameType

from .children import ChildRecord, Fallen, Seat, send
from .exitcodes import ExitCode
from .heartbeat import Heart
from .launcher import exec_again
from .notify import notify
from .options import WorkerOptions

logger = logging.getLogger(__name__)

#: The signals that the arbiter blocks and waits for.
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
#: Seconds between two checks of the heartbeats.
TICK = 1.0
#: Failed boots in a row, with no child ready in between, after which the arbiter gives up.
MAX_BOOT_FAILURES = 5
#: Seconds before a child is replaced when deaths follow one another: doubles with each failed boot
#: in a row, up to the cap. A child that had booted was doing work that is now waiting.
BACKOFF_BASE, BACKOFF_CAP = 0.5, 30.0
#: A child that lived this many seconds did not die of a failed start.
STABLE_AFTER = 10.0

#: Environment variable: process ids of the children from before a reload.
VETERANS = "DJANGO_PUSHJOBS_VETERANS"
#: Environment variable: set in a process that only finds out whether the code starts.
PROBE = "DJANGO_PUSHJOBS_PROBE"


class Arbiter:
    """Keeps ``options.processes`` children alive, each of which runs ``life(seat)``.

    ``life`` returns the exit code of the child: OK if it has nothing left to do and must not be
    replaced, anything else if it must.
    """

    def __init__(self, options: WorkerOptions, life: Callable[[Seat], int]) -> None:
        self.options = options
        self.life = life
        self.pid = os.getpid()
        #: How many children there should be.
        self.target = options.processes
        self.children: dict[int, ChildRecord] = {}
        #: Children from before a reload: they go on working until the new ones are ready.
        self.veterans = {int(pid) for pid in os.environ.pop(VETERANS, "").split(",") if pid}
        #: Numbers of the seats whose child had nothing left to do.
        self.finished: set[int] = set()
        self.stopping: str | None = None
        self.exit_code = ExitCode.OK
        self._fallen: set[Fallen] = set()
        self._noted: deque[int] = deque()
        self._probe_pid = 0
        self._announced = False
        self._deaths = 0
        self._boot_failures = 0
        self._spawn_at = 0.0
        self._stop_by = 0.0

    def run(self) -> int:
        """Work until told to stop, or until no child has anything left to do.

        :returns: the exit code of the process.
        """
        logger.info(
            "Arbiter %s [%d]: running %d processes with %d concurrent jobs each on %s",
            self.options.name,
            self.pid,
            self.target,
            self.options.concurrency,
            ", ".join(self.options.queues),
        )
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        # The mask applies to this thread. If a library has started another one, a signal may reach
        # that thread instead; then it is noted, and found at the next tick. Whatever the parent
        # had set is replaced: a shell that starts us in the background ignores SIGINT.
        handlers = {s: signal.signal(s, self._note) for s in SIGNALS - {signal.SIGCHLD}}
        # If a parent has ignored this one, the kernel reaps our children and keeps their exit
        # codes to itself.
        handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        try:
            while self._turn():
                self._handle(self._wait())
                while self._noted:
                    self._handle(self._noted.popleft())
        finally:
            self._kill_all()
            # In this order: a signal that is still pending, say the last alarm, is noted and does
            # no harm.
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
            logger.warning(
                "Arbiter: %d processes are still busy after %g s",
                len(self.children),
                self.options.graceful_timeout,
            )
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
                send(pid, signal.SIGUSR1)
        elif self.stopping is not None:
            pass
        elif signum == signal.SIGHUP:
            self._probe()
        elif signum == signal.SIGTTIN:
            self.target += 1
            logger.info("Arbiter: adding one process, %d in all", self.target)
        elif signum == signal.SIGTTOU and self.target > 1:
            self.target -= 1
            logger.info("Arbiter: removing one process, %d in all", self.target)

    # Birth.

    def _resize(self) -> None:
        occupied = {child.seat.number for child in self.children.values()}
        for number in range(self.target):
            if number in occupied or number in self.finished:
                continue
            if time.monotonic() < self._spawn_at:
                return
            self._spawn(number)
        for child in self.children.values():
            child.seat.heart.alone = len(self.finished) >= self.target - 1
            if child.seat.number >= self.target and not child.pending_signals:
                child.stop_warm(self.options.graceful_timeout)

    def _spawn(self, number: int) -> None:
        seat = Seat(number, self.options.name, self.pid, Heart(), tuple(self._fallen))
        sys.stdout.flush()
        sys.stderr.flush()
        pid = fork()
        if pid == 0:
            self._be_born(seat)
        self.children[pid] = ChildRecord(pid, seat)
        logger.info("Arbiter: process %d started in seat %d", pid, number)

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
            # Not sys.exit(): what the parent registered with atexit is for the parent to run.
            os._exit(code)

    def _announce(self) -> None:
        """Report to systemd, and stop the veterans once all new children are ready."""
        ready = [child for child in self.children.values() if child.seat.heart.ready]
        for child in ready:
            # Its heart does not beat before it has recovered what it was told to.
            self._fallen.difference_update(child.seat.fallen)
        if len(ready) >= self.target and not self._announced:
            self._announced = True
            notify("READY=1", f"STATUS={len(ready)} processes")
            for pid in self.veterans:
                logger.info("Arbiter: process %d has been replaced; draining it", pid)
                send(pid, signal.SIGTERM)
        notify("WATCHDOG=1")

    # Life and death.

    def _watch(self) -> None:
        for child in self.children.values():
            silence = child.seat.heart.silence
            if silence > self.options.hang_timeout and not child.is_doomed:
                logger.error(
                    "Arbiter: process %d has not responded for %.0f s; killing and replacing it",
                    child.pid,
                    silence,
                )
                child.dump_and_kill()
            child.send_due_signals()

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

    def _bury(self, child: ChildRecord, code: int) -> None:
        if child.seat.heart.ready:
            self._boot_failures = 0
        if code in (ExitCode.OK, ExitCode.RECYCLE):
            logger.info("Arbiter: process %d ended", child.pid)
            self._deaths = 0
            was_told = bool(child.pending_signals)
            if code == ExitCode.OK and child.seat.number < self.target and not was_told:
                self.finished.add(child.seat.number)
            return
        reason = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        logger.error("Arbiter: process %d died: %s", child.pid, reason)
        fallen = child.obituary(self.options.hang_timeout)
        if fallen.culprit:
            logger.error("Arbiter: job %s had blocked process %d", fallen.culprit, child.pid)
        self._fallen.add(fallen)
        if self.stopping is not None:
            return
        if not child.seat.heart.ready:
            self._boot_failures += 1
            if self._boot_failures >= MAX_BOOT_FAILURES and not self.veterans:
                logger.critical("Arbiter: the processes cannot boot, giving up")
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
        """Find out, in a process of its own, whether the code on disk starts."""
        if self._probe_pid:
            return
        logger.info("Arbiter: reload requested, checking that the new code starts")
        pid = fork()
        if pid == 0:
            try:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
                exec_again({PROBE: "1"})
            finally:
                os._exit(ExitCode.CRASHED)
        self._probe_pid = pid

    def _reload(self, code: int) -> None:
        """Become the new code, under the same process id, and keep the children we have.

        They go on working; the new image has them drain once children of its own are ready.
        """
        self._probe_pid = 0
        if code != ExitCode.OK:
            logger.error("Arbiter: the new code does not start, keeping the old code")
            return
        logger.info("Arbiter: restarting with the new code")
        notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1_000}")
        signal.setitimer(signal.ITIMER_REAL, 0)
        veterans = ",".join(str(pid) for pid in {*self.children, *self.veterans})
        # The mask survives the exec, so no signal is lost meanwhile; but a module that starts a
        # process while it is imported needs to learn of its end.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        try:
            exec_again({VETERANS: veterans})
        except OSError as error:
            logger.error("Arbiter: could not restart: %s", error)
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})

    # The end.

    def _stop(self, how: str) -> None:
        self.stopping = how
        logger.info("Arbiter: %s stop of %d processes", how, len(self.children))
        notify("STOPPING=1")
        self._stop_by = time.monotonic() + self.options.graceful_timeout
        for child in self.children.values():
            if how == "warm":
                child.stop_warm(self.options.graceful_timeout)
            else:
                child.stop_cold()
        for pid in self.veterans:
            send(pid, signal.SIGTERM if how == "warm" else signal.SIGQUIT)
        self._watch()

    def _kill_all(self) -> None:
        """Leave no process behind, whatever has happened to us."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        for pid in {*self.children, *self.veterans}:
            send(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                waitpid(pid, 0)
