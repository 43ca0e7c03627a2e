"""PgBouncer between the workers and the database, in transaction mode."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

from example_project.valkey import free_port
from tests.support.waiting import eventually

from .servers import DATABASE, PostgreSQL

CONFIG = """
[databases]
{database} = host={socket} port={port} dbname={database} user=postgres

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 20
max_client_conn = 1000
"""


def find_pgbouncer() -> str | None:
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


class Pool:
    """Runs PgBouncer on one port, whenever it is started."""

    def __init__(self, postgres: PostgreSQL) -> None:
        self._port = free_port()
        self._user = postgres.user
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}/{DATABASE}"
        self._config = Path(postgres.folder) / "pgbouncer.ini"
        self._config.write_text(
            CONFIG.format(
                database=DATABASE,
                socket=postgres.socket.parent,
                port=postgres.socket.suffix[1:],
                listen=self._port,
            )
        )
        self._config.chmod(0o644)
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = find_pgbouncer()
        assert program
        # It refuses to run as root.
        self._popen = subprocess.Popen(
            [program, "-q", self._config],
            user=self._user,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        eventually(self._listens, what="PgBouncer listens")

    def kill(self) -> None:
        if self._popen is not None:
            self._popen.kill()
            self._popen.wait()

    def _listens(self) -> bool:
        assert self._popen is not None
        assert self._popen.poll() is None, "PgBouncer has ended"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0
