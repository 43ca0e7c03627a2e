"""A process that the example project starts, watches and surely ends."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

#: Between two looks at something that is waited for, in seconds.
POLL = 0.05


class ProcessError(Exception):
    """A process did not start or ended too early; the message ends with the tail of its log."""


class Process:
    """One child process with its log file.

    It has a process group of its own: Ctrl-C in the terminal reaches the parent only, which
    ends its children in an order that lets them finish what they do.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        cwd: Path,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        # A new file, to which everybody appends: grandchildren may open it too.
        log.unlink(missing_ok=True)
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                pass_fds=pass_fds,
                process_group=0,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    def owns(self, pid: int) -> bool:
        """Whether ``pid`` is this process or was started by it."""
        try:
            return os.getpgid(pid) == self.pid
        except ProcessLookupError:
            return False

    def check(self) -> None:
        """Make sure that it runs.

        :raises ProcessError: it does not.
        """
        if (code := self._popen.poll()) is not None:
            raise self.failure(f"{self.name} ended with exit code {code}")

    def wait_until(self, fact: Callable[[], T | None], *, timeout: float) -> T:
        """Return what ``fact`` returns once that is something, while the process runs.

        :raises ProcessError: it ended, or ``timeout`` seconds went by.
        """
        deadline = time.monotonic() + timeout
        while not (result := fact()):
            self.check()
            if time.monotonic() > deadline:
                raise self.failure(f"{self.name} was not ready within {timeout:.0f} s")
            time.sleep(POLL)
        return result

    def wait_for_line(self, pattern: str, *, timeout: float = 30) -> str:
        """Return the first group of ``pattern`` once a line of its output matches."""

        def match() -> str | None:
            found = re.search(f"^{pattern}$", self.output(), re.MULTILINE)
            return found.group(1) if found else None

        return self.wait_until(match, timeout=timeout)

    def output(self) -> str:
        return self.log.read_text("utf-8", errors="replace")

    def failure(self, reason: str) -> ProcessError:
        """Return an error with the tail of the log."""
        tail = "\n".join(f"  {line}" for line in self.output().splitlines()[-15:])
        return ProcessError(f"{reason}\n{self.log}:\n{tail or '  (nothing)'}")

    def stop(self, grace: float = 15) -> None:
        """End it: SIGTERM, and SIGKILL to its group after ``grace`` seconds."""
        if self._popen.poll() is None:
            self._popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(grace)
        # The group outlives its leader where grandchildren were left behind.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()
