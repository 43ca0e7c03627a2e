"""``make run``: everything is started, the numbers add up, and nothing is left running."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from example_project.valkey import free_port

ROOT = Path(__file__).resolve().parents[2]
#: Seconds that a run may take to get as far as it should, on a slow and busy machine.
DEADLINE = 100.0


@pytest.fixture
def environment(tmp_path: Path, pytestconfig: pytest.Config) -> dict[str, str]:
    """A folder of its own; it starts its own Valkey and, with SQLite, makes its own database."""
    given = {"REDIS_URL", "TEST_SQLITE_FILE", "DJANGO_SETTINGS_MODULE"}
    if pytestconfig.getoption("--database") == "sqlite":
        given.add("DATABASE_URL")
    environment = {name: value for name, value in os.environ.items() if name not in given}
    return environment | {"VAR_DIR": str(tmp_path / "var"), "CI": "true"}


class Demo:
    """``python -m example_project``, and what it has printed so far.

    :param parent: how its parent treats which signals, as ``tests/support/inheriting.py`` takes it.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *options: str,
        tty: int | None,
        parent: tuple[str, str] | None,
    ) -> None:
        self.said = ""
        self._grown = threading.Condition()
        inheriting = [] if parent is None else ["tests/support/inheriting.py", *parent]
        self.process = subprocess.Popen(
            [sys.executable, *inheriting, "-m", "example_project", *options],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL if tty is None else tty,
            stdout=subprocess.PIPE if tty is None else tty,
            stderr=subprocess.STDOUT,
        )

    def listen(self, source: int) -> None:
        while True:
            try:
                data = os.read(source, 65_536)
            except OSError:  # the other side of the terminal was closed
                data = b""
            with self._grown:
                self.said += data.decode(errors="replace")
                self._grown.notify_all()
            if not data:
                return

    def wait_for(self, text: str) -> None:
        with self._grown:
            assert self._grown.wait_for(lambda: text in self.said, DEADLINE), self.said

    def result(self) -> int:
        """Wait for its end and return its exit code; nothing it started may be left running."""
        code = self.process.wait(DEADLINE)
        urls = set(re.findall(r"(?:http|redis)://127\.0\.0\.1:\d+", self.said))
        assert len(urls) >= 3, self.said
        for url in urls:
            address = urlsplit(url)
            with closing(socket.socket()) as client:
                assert client.connect_ex((address.hostname, address.port)), f"{url} still answers"
        return code


@contextmanager
def demo(
    environment: Mapping[str, str],
    *options: str,
    terminal: bool = False,
    parent: tuple[str, str] | None = None,
) -> Iterator[Demo]:
    ours, theirs = pty.openpty() if terminal else (None, None)
    # Of tests that run side by side, another one would take the usual port as soon as it is free.
    options = (f"--port={free_port()}", *options)
    running = Demo(environment, *options, tty=theirs, parent=parent)
    if theirs is not None:
        os.close(theirs)
    pipe = running.process.stdout
    source = ours if ours is not None else pipe.fileno() if pipe is not None else -1
    reader = threading.Thread(target=running.listen, args=(source,))
    reader.start()
    try:
        yield running
        reader.join(DEADLINE)
    finally:
        if running.process.poll() is None:
            running.process.terminate()
            running.process.wait(DEADLINE)
        reader.join(DEADLINE)
        if ours is not None:
            os.close(ours)
        if pipe is not None:
            pipe.close()


def test_adds_up_and_does_so_again_on_the_same_data(environment: dict[str, str]) -> None:
    for _ in range(2):
        with demo(environment, "--requests", "40", "--connections", "3") as run:
            assert run.result() == 0, run.said
        said = run.said
        assert "final: 40 of 40" in said
        for line in (
            "accepted by the API",
            "succeeded",
            "confirmed by callback",
            "gateway: distinct ids",
        ):
            assert re.search(rf"{line} +│ +40 ", said), said
        assert "Everything adds up." in said
        assert re.search(r"curl http://127\.0\.0\.1:\d+/api/v1/push-requests", said)
        assert "Bearer " in said


@pytest.mark.parametrize(
    "parent", [None, ("ignoring", "INT,QUIT"), ("blocking", "INT,TERM,HUP")], ids=str
)
def test_keeps_running_on_a_terminal_until_interrupted(
    environment: dict[str, str], parent: tuple[str, str] | None
) -> None:
    with demo(environment, "--requests", "5", terminal=True, parent=parent) as run:
        run.wait_for("Press Ctrl-C to stop.")
        run.process.send_signal(signal.SIGINT)
        assert run.result() == 0, run.said


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_stops_what_it_started_when_it_is_told_to_stop(
    environment: dict[str, str], signum: int
) -> None:
    with demo(environment, "--requests", "100000") as run:
        run.wait_for("A third party submits")
        run.process.send_signal(signum)
        assert run.result() == 128 + signum, run.said


def test_outlives_its_terminal_under_nohup(environment: dict[str, str]) -> None:
    with demo(environment, "--requests", "40", parent=("ignoring", "HUP")) as run:
        run.wait_for("A third party submits")
        run.process.send_signal(signal.SIGHUP)
        assert run.result() == 0, run.said
        assert "Everything adds up." in run.said


def test_reports_what_failed_to_start(environment: dict[str, str]) -> None:
    environment |= {"DEBUG": "0", "SECRET_KEY": "secret", "ALLOWED_HOSTS": "elsewhere.example"}
    with demo(environment, "--requests", "5") as run:
        assert run.process.wait(DEADLINE) == 1
    assert "HTTP Error 400" in run.said
    assert "web.log" in run.said
