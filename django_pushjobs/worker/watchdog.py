"""Notices a blocked hub, and names the job that blocks it."""

from __future__ import annotations

import os
import sys
import time
import traceback
from contextvars import Context
from types import FrameType
from typing import cast

from gevent.monkey import get_original
from gevent.util import format_run_info

from .supervisor.heartbeat import Heart
from .taken import Started, current

_sleep = get_original("time", "sleep")
_start_thread = get_original("_thread", "start_new_thread")
_this_thread = get_original("_thread", "get_ident")

#: Seconds between two checks.
LOOK = 0.5
#: Seconds for which the hub may be blocked before that is reported; doubles with each report.
BLOCKED_AFTER = 2.0


class Watchdog:
    """Reports a hub that is blocked, and the job that blocks it.

    It runs in a thread of the operating system, which a blocked hub does not hold up as long as
    the interpreter lock is released now and then. It writes straight to standard error: the locks
    of :mod:`logging` are gevent's, and the blocking job may hold them.

    If the process is killed because of it, the note that the watchdog leaves beside the heart says
    whose job it was. So that no job is accused that only happens to run, it has to be the one that
    was seen at every look since the last beat. A job that keeps the interpreter lock to itself, as
    a regular expression does, is seen by the handler of SIGUSR1, which runs inside of it.

    :param name: of the worker.
    :param heart: beats as long as the hub turns.
    """

    def __init__(self, name: str, heart: Heart) -> None:
        self.name = name
        self._heart = heart
        self._hub_thread = _this_thread()
        #: When the thread had its last look. It is kept from the next one only by who has kept the
        #: interpreter to itself since then; so who is seen next has been running for that long.
        self._looked_at = time.monotonic()
        #: The beat since which the hub is blocked, and the job seen to do it; "" if there is none,
        #: or more than one.
        self._blocked_since = 0.0
        self._suspect = ""

    def start(self) -> None:
        """Begin to watch."""
        self._looked_at = time.monotonic()
        _start_thread(self._run, ())

    def dump(self, signum: int, frame: FrameType | None) -> None:
        """Write the stacks of all greenlets and threads: see :func:`dump_stacks`."""
        if self._heart.silence >= BLOCKED_AFTER:
            self._suspect_job(_job_of(frame))
        dump_stacks(signum, frame)

    def _run(self) -> None:
        patience = BLOCKED_AFTER
        while True:
            _sleep(LOOK)
            blocked = self._heart.silence
            if blocked < BLOCKED_AFTER:
                patience = BLOCKED_AFTER
            else:
                frame = sys._current_frames().get(self._hub_thread)
                started = _job_of(frame)
                self._suspect_job(started)
                if blocked >= patience:
                    patience *= 2
                    self._report(blocked, started, frame)
            self._looked_at = time.monotonic()

    def _suspect_job(self, started: Started | None) -> None:
        """Note which job was seen in a blocked hub."""
        seen = started.job.id if started is not None else ""
        beat = self._heart.last_beat
        if beat != self._blocked_since:
            self._blocked_since, self._suspect = beat, seen
        elif self._suspect != seen:
            self._suspect = ""
        else:
            return
        self._heart.accuse(self._suspect, self._looked_at)

    def _report(self, blocked: float, started: Started | None, frame: FrameType | None) -> None:
        culprit = "something other than a job"
        if started is not None:
            culprit = f"job {started.job.id} ({started.job.description})"
        stack = "".join(traceback.format_stack(frame)) if frame else ""
        _say(
            f"WARNING Worker {self.name}: the hub has been blocked for {blocked:.1f} s by "
            f"{culprit}; no other job can run\n{stack}"
        )


def dump_stacks(signum: int, frame: FrameType | None) -> None:
    """Write the stacks of all greenlets and threads: the handler of SIGUSR1.

    It runs in whichever greenlet is running, even that of a job that never waits: the stacks of
    greenlets cannot be seen from another thread.
    """
    lines = "\n".join(cast(list[str], format_run_info()))
    _say(f"Process {os.getpid()}: stacks of all greenlets and threads\n{lines}\n")


def _job_of(frame: FrameType | None) -> Started | None:
    """Return the job in whose greenlet ``frame`` is running, or on whose behalf it does."""
    while frame is not None:
        names = frame.f_locals
        if isinstance(started := names.get("started"), Started):
            return started
        context = names.get("context")
        if isinstance(context, Context) and (started := context.get(current)) is not None:
            return started
        frame = frame.f_back
    return None


def _say(text: str) -> None:
    os.write(2, text.encode(errors="replace"))
