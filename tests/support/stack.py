"""The real thing for live tests: manage.py as processes, a gateway, a database of their own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import dj_database_url
import redis

from . import mariadb
from .waiting import eventually

ROOT = Path(__file__).resolve().parent.parent.parent


class Program:
    """A process under test, with its output in a file."""

    def __init__(self, arguments: list[str], environment: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("wb") as output:
            self.popen = subprocess.Popen(
                [sys.executable, *arguments],
                env=environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @classmethod
    def adopt(cls, popen: Any, log: Path) -> Program:
        """Return a program for a process that was started in another way."""
        program = cls.__new__(cls)
        program.popen, program.log = popen, log
        return program

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def output(self) -> str:
        return self.log.read_text()

    def signal(self, signum: int) -> None:
        self.popen.send_signal(signum)

    def wait(self, timeout: float = 30.0) -> int:
        """Return the exit code of a process that is about to end."""
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout} s:\n{self.output}") from None

    def says(self, pattern: str, *, times: int = 1, timeout: float = 30.0) -> list[str]:
        """Wait until the output holds ``pattern`` that often; return what its group matched."""

        def found() -> list[str]:
            matches = re.findall(pattern, self.output)
            if len(matches) < times and self.popen.poll() is not None:
                raise AssertionError(f"ended before it said {pattern!r}:\n{self.output}")
            return matches if len(matches) >= times else []

        return eventually(found, timeout=timeout, what=f"{pattern!r} in the output of {self.log}")

    def children(self) -> list[int]:
        """Return the process ids of its living children."""
        tasks = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(pid) for pid in tasks.read_text().split()]

    def end(self) -> None:
        """Make sure that it and all it started are gone."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.popen.wait()


class Stack:
    """A database, a Redis and a gateway of their own, and the processes of one test."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self.redis = redis.Redis.from_url(environment["REDIS_URL"])
        self.programs: list[Program] = []
        self.gateway_url = ""

    def python(self, *arguments: str, **environment: str) -> Program:
        log = self.folder / f"{len(self.programs)}.log"
        program = Program(list(arguments), self.environment | environment, log)
        self.programs.append(program)
        return program

    def manage(self, *arguments: str, **environment: str) -> Program:
        return self.python("manage.py", *arguments, **environment)

    def worker(self, *arguments: str, **environment: str) -> Program:
        """Start ``rqgeventworker`` and wait until its processes are ready."""
        program = self.manage("rqgeventworker", *arguments, **environment)
        chosen = re.search(r"--processes[ =](\d+)", " ".join(arguments))
        program.says("is ready", times=int(chosen[1]) if chosen else 2)
        return program

    def web(self, **environment: str) -> str:
        """Start a web server with four threads and return its URL once it answers."""
        options = ["--bind=127.0.0.1:0", "--worker-class=gthread", "--threads=4"]
        # The server's own warnings are not ours.
        environment = {"PYTHONWARNINGS": "default", **environment}
        program = self.python("-m", "gunicorn", "example_project.wsgi", *options, **environment)
        (url,) = program.says(r"Listening at: (\S+)")
        eventually(partial(_answers, url), what=f"{url} answers")
        return url

    def key(self, client: str = "acme") -> str:
        """Return the secret of a new key of a new client of the API."""
        return self.run(
            "from django_pushjobs.models import ApiClient, ApiKey\n"
            f"client = ApiClient.objects.create(name={client!r})\n"
            "print(ApiKey.objects.issue(client, 'tests')[1])"
        )

    def gateway(self, latency_ms: int = 20, **options: str) -> None:
        """Start the gateway simulator; what is submitted afterwards is pushed to it."""
        flags = [f"--{name}={value}" for name, value in options.items()]
        program = self.python(
            "-m", "example_project.gateway", f"--latency-ms={latency_ms}", "--port=0", *flags
        )
        (self.gateway_url,) = program.says(r"^(http\S+)$")
        self.environment["GATEWAY_URL"] = f"{self.gateway_url}/messages"

    def gateway_stats(self) -> dict[str, Any]:
        return self._get("/stats")

    def gateway_ids(self) -> dict[str, int]:
        """Every id the gateway received -> how often."""
        return self._get("/ids")

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(self.gateway_url + path, timeout=10) as response:
            return json.load(response)

    def run(self, code: str) -> str:
        """Run Python code in a Django shell of the project and return what it prints."""
        done = subprocess.run(
            [sys.executable, "manage.py", "shell", "-v0", "-c", code],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def submit(self, count: int, **fields: Any) -> None:
        """Submit push requests to ``token-0``, ``token-1`` and so on."""
        self.run(
            "from django_pushjobs.services import submit_many\n"
            "from django_pushjobs.submission.submissions import Submission\n"
            f"submit_many([Submission(recipients=[f'token-{{i}}'], title='Hello', **{fields!r})"
            f" for i in range({count})])"
        )

    def statuses(self) -> dict[str, int]:
        """How many push requests there are in each state."""
        return self.query("SELECT status, COUNT(*) FROM django_pushjobs_pushrequest GROUP BY 1")

    def query(self, sql: str) -> dict[Any, Any]:
        """Ask the database itself; return the first column -> the second one."""
        config = dj_database_url.parse(self.environment["DATABASE_URL"])
        if "sqlite" in config["ENGINE"]:
            import sqlite3

            connection: Any = sqlite3.connect(config["NAME"], timeout=20)
        elif "mysql" in config["ENGINE"]:
            return mariadb.ask(self.environment["DATABASE_URL"], sql)
        else:
            import psycopg

            connection = psycopg.connect(self.environment["DATABASE_URL"])
        try:
            return dict(connection.execute(sql).fetchall())
        finally:
            connection.close()

    def all_end_as(self, status: str, count: int, timeout: float = 60.0) -> None:
        """Wait until ``count`` push requests, and no others, are in ``status``."""
        eventually(
            lambda: self.statuses() == {status: count},
            timeout=timeout,
            what=f"{count} push requests are {status}; now {self.statuses()}",
        )

    def close(self) -> None:
        for program in reversed(self.programs):
            program.end()
        self.redis.close()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/api/v1/openapi.json", timeout=10):
            return True
    except urllib.error.URLError:
        return False


@contextmanager
def stack(folder: Path, database: str = "live_tests") -> Iterator[Stack]:
    """Lend a stack whose database is migrated and whose Redis is empty.

    :param database: its name, where one server has many.
    """
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.live.settings",
        "PYTHONPATH": str(ROOT),
        "REDIS_URL": re.sub(r"/\d+$", "/1", os.environ["REDIS_URL"]),
        "PYTHONWARNINGS": "error",
        "PYTHONFAULTHANDLER": "1",
    }
    with _database(folder, environment, database) as url:
        environment["DATABASE_URL"] = url
        lent = Stack(folder, environment)
        lent.redis.flushdb()
        try:
            yield lent
        finally:
            lent.close()


@contextmanager
def _database(folder: Path, environment: dict[str, str], name: str) -> Iterator[str]:
    """Lend a migrated database: to migrate takes seconds, so each is a copy of the first."""
    url = os.environ["DATABASE_URL"]
    if url.startswith("sqlite"):
        template = Path(os.environ["TEST_SQLITE_FILE"]).with_name("template.sqlite3")
        if not template.exists():
            _migrate(environment | {"DATABASE_URL": f"sqlite:///{template}"})
        yield f"sqlite:///{shutil.copy(template, folder / 'live.sqlite3')}"
        return
    if url.startswith("mysql"):
        mariadb.ask(url, f"DROP DATABASE IF EXISTS {name}")
        mariadb.ask(url, f"CREATE DATABASE {name}")
        _migrate(environment | {"DATABASE_URL": _named(url, name)})
        yield _named(url, name)
        return
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        exists = "SELECT FROM pg_database WHERE datname = 'template'"
        if connection.execute(exists).fetchone() is None:
            connection.execute("CREATE DATABASE template")
            _migrate(environment | {"DATABASE_URL": _named(url, "template")})
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template")
    yield _named(url, name)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _named(url: str, database: str) -> str:
    # Once: behind the question mark there may be the folder of a socket.
    return re.sub(r"/[^/?]+(\?|$)", rf"/{database}\1", url, count=1)


def _migrate(environment: dict[str, str]) -> None:
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "-v0"], env=environment, cwd=ROOT, check=True
    )
