"""The services of the example project, each in a process of its own, on free ports."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Callable, Collection, Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.error import HTTPError
from urllib.request import urlopen

from .processes import Process

#: Where ``manage.py`` is.
ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
#: The port of the web server, if it is free.
PREFERRED_PORT = 8000
#: Seconds that a service may take to start, on a slow machine.
STARTUP = 60.0


class Services:
    """Starts services one by one and stops them in the reverse order, so that the worker can
    finish its jobs while the gateway, Redis and the database are still there."""

    def __init__(self, var: Path) -> None:
        self.var = var
        self.running: list[Process] = []
        #: The signal that told us to stop, if there was one.
        self.told_to_end: int | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def check(self) -> None:
        """Make sure that all of them are running, and that we may go on.

        :raises ProcessError: one is not.
        :raises KeyboardInterrupt: SIGINT told us to stop.
        :raises SystemExit: another signal did.
        """
        if self.told_to_end == signal.SIGINT:
            raise KeyboardInterrupt
        if self.told_to_end is not None:
            sys.exit(128 + self.told_to_end)
        for process in self.running:
            process.check()

    def start_valkey(self) -> str:
        """Start Valkey from its wheel and return its URL."""
        log = self.var / "log" / "valkey-server.log"
        process = self._start("valkey", _module("valkey", "--logfile", str(log)))
        return process.wait_for_line(r"(redis://\S+)", timeout=STARTUP)

    def start_gateway(self, latency_ms: float) -> str:
        """Start the gateway simulator and return its URL."""
        options = ["--port", "0", "--latency-ms", str(latency_ms)]
        process = self._start("gateway", _module("gateway", *options))
        return process.wait_for_line(r"(http://\S+)", timeout=STARTUP)

    def start_web(self, *, port: int | None, workers: int = 2) -> str:
        """Start the web server and return its URL once it answers.

        :param port: None takes port 8000 or, if that is in use, any free one.
        """
        # The server inherits the socket, so that no other process can take the port meanwhile.
        with listen(port) as listener:
            url = f"http://{HOST}:{listener.getsockname()[1]}"
            command = [sys.executable, "-m", "gunicorn", "example_project.wsgi"]
            command += ["--bind", f"fd://{listener.fileno()}", "--keep-alive", "30"]
            # Each call that waits for its result, and each event stream, is a greenlet.
            command += ["--worker-class", "gevent", "--worker-connections", "5000"]
            command += ["--workers", str(workers)]
            process = self._start("web", command, pass_fds=[listener.fileno()])
        try:
            process.wait_until(lambda: _answers(url), timeout=STARTUP)
        except HTTPError as error:
            raise process.failure(f"the web server answered {url} with {error}") from error
        return url

    def start_worker(
        self,
        queue: str,
        *,
        processes: int,
        concurrency: int,
        listening: Callable[[], Collection[int]],
    ) -> None:
        """Start the worker and return once all its processes are ready.

        :param listening: returns the process ids of this machine's workers that RQ knows.
        """
        command = [sys.executable, str(ROOT / "manage.py"), "rqgeventworker", queue]
        command += ["--processes", str(processes), "--concurrency", str(concurrency)]
        process = self._start("worker", command)
        process.wait_until(
            lambda: sum(process.owns(pid) for pid in listening()) >= processes, timeout=STARTUP
        )

    def _start(self, name: str, command: list[str], pass_fds: Iterable[int] = ()) -> Process:
        log = self.var / "log" / f"{name}.log"
        process = Process(name, command, log=log, cwd=ROOT, pass_fds=tuple(pass_fds))
        self._stack.callback(process.stop)
        self.running.append(process)
        return process


def listen(port: int | None) -> socket.socket:
    """Return a listening socket on ``port``, or on the preferred or any free one if None.

    :raises OSError: there is none; the message says why.
    """
    for candidate in [PREFERRED_PORT, 0] if port is None else [port]:
        try:
            return socket.create_server((HOST, candidate), backlog=1_024)
        except OSError as error:
            failure = error
    raise OSError(f"the web server cannot use port {port}: {failure.strerror}")


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except HTTPError:
        raise  # it is running, and something is wrong
    except OSError:
        return False


def _module(name: str, *options: str) -> list[str]:
    return [sys.executable, "-m", f"example_project.{name}", *options]
