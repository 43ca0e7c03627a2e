"""Notices a blocked hub, and names the job that blocks it."""

from __future__ import annotations

import os
import sys
import time
import traceback
from types import FrameType
from typing import cast

from gevent.monkey import get_original
from gevent.util import format_run_info

from .taken import Started

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
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._turned_at = time.monotonic()
        self._hub_thread = _this_thread()

    def start(self) -> None:
        """Begin to watch."""
        _start_thread(self._run, ())

    def turn(self) -> None:
        """Report, from a greenlet, that the hub is turning."""
        self._turned_at = time.monotonic()

    def _run(self) -> None:
        patience = BLOCKED_AFTER
        while True:
            _sleep(LOOK)
            blocked = time.monotonic() - self._turned_at
            if blocked < BLOCKED_AFTER:
                patience = BLOCKED_AFTER
            elif blocked >= patience:
                patience *= 2
                self._report(blocked)

    def _report(self, blocked: float) -> None:
        frame = sys._current_frames().get(self._hub_thread)
        stack = "".join(traceback.format_stack(frame)) if frame else ""
        _say(
            f"WARNING Worker {self.name}: the hub has been blocked for {blocked:.1f} s by "
            f"{_culprit(frame)}; no other job can run\n{stack}"
        )


def dump_stacks(signum: int, frame: FrameType | None) -> None:
    """Write the stacks of all greenlets and threads: the handler of SIGUSR1.

    It runs in whichever greenlet is running, even that of a job that never waits: the stacks of
    greenlets cannot be seen from another thread.
    """
    lines = "\n".join(cast(list[str], format_run_info()))
    _say(f"Process {os.getpid()}: stacks of all greenlets and threads\n{lines}\n")


def _culprit(frame: FrameType | None) -> str:
    """Name the job in whose greenlet ``frame`` is running."""
    while frame is not None:
        started = frame.f_locals.get("started")
        if isinstance(started, Started):
            return f"job {started.job.id} ({started.job.description})"
        frame = frame.f_back
    return "something other than a job"


def _say(text: str) -> None:
    os.write(2, text.encode(errors="replace"))
