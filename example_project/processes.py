"""A process that the example project starts, watches and is sure to end."""

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

#: Seconds between two checks of something that is awaited.
POLL = 0.05


class ProcessError(Exception):
    """A process did not start or ended too early; the message ends with the tail of its log."""


class Process:
    """One child process with its log file.

    It has a process group of its own: Ctrl-C in the terminal reaches only the parent, which stops
    its children in an order that lets them finish what they are doing.
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
        # A new file, opened for appending: grandchildren may open it, too.
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
        """Return whether ``pid`` is this process or was started by it."""
        try:
            return os.getpgid(pid) == self.pid
        except ProcessLookupError:
            return False

    def check(self) -> None:
        """Make sure that it is running.

        :raises ProcessError: it is not.
        """
        if (code := self._popen.poll()) is not None:
            raise self.failure(f"{self.name} ended with exit code {code}")

    def wait_until(self, fact: Callable[[], T | None], *, timeout: float) -> T:
        """Return what ``fact`` returns as soon as that is true, while the process is running.

        :raises ProcessError: it ended, or ``timeout`` seconds have passed.
        """
        deadline = time.monotonic() + timeout
        while not (result := fact()):
            self.check()
            if time.monotonic() > deadline:
                raise self.failure(f"{self.name} was not ready within {timeout:.0f} s")
            time.sleep(POLL)
        return result

    def wait_for_line(self, pattern: str, *, timeout: float = 30) -> str:
        """Return the first group of ``pattern`` as soon as a line of its output matches.

        :raises ProcessError: it ended, or ``timeout`` seconds have passed.
        """

        def match() -> str | None:
            found = re.search(f"^{pattern}$", self.output(), re.MULTILINE)
            return found.group(1) if found else None

        return self.wait_until(match, timeout=timeout)

    def output(self) -> str:
        """Return what it has written so far."""
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
        # The group outlives its leader if grandchildren were left behind.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()
