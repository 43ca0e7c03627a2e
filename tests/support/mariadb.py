"""A MariaDB of our own, from the programs that the machine has."""

from __future__ import annotations

import getpass
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dj_database_url

from example_project.valkey import free_port

from .waiting import eventually


def start(folder: Path) -> tuple[str, Callable[[], None]]:
    """Start a server that keeps its data in ``folder``; return its URL, and what stops it.

    :raises RuntimeError: there is no ``mariadbd`` on the PATH.
    """
    server = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")
    if server is None:
        raise RuntimeError("--database mariadb needs the program mariadbd")
    data, port = folder / "mariadb", free_port()
    as_user = f"--user={getpass.getuser()}"
    subprocess.run(
        [
            *("mariadb-install-db", "--no-defaults", f"--datadir={data}", as_user),
            *("--auth-root-authentication-method=normal", "--skip-test-db"),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    process = subprocess.Popen(
        [
            *(server, "--no-defaults", f"--datadir={data}", as_user),
            *(f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder / 'mariadb.sock'}"),
            # As MySQL, and MariaDB from version 11.6 on, have it by default.
            "--character-set-server=utf8mb4",
            # The machine will not lose its power in mid-test.
            "--innodb-flush-log-at-trx-commit=0",
        ],
        stderr=subprocess.DEVNULL,
    )

    url = f"mysql://root@127.0.0.1:{port}"

    def answers() -> bool:
        try:
            ask(url, "CREATE DATABASE IF NOT EXISTS pushjobs")
        except OSError:
            return False
        return True

    def stop() -> None:
        process.terminate()
        process.wait()

    try:
        eventually(answers, what="MariaDB answers")
    except BaseException:
        stop()
        raise
    return f"{url}/pushjobs?charset=utf8mb4", stop


def ask(url: str, sql: str) -> dict[Any, Any]:
    """Ask the server itself; return the first column -> the second one.

    :raises OSError: there is nobody to ask.
    """
    import pymysql

    config = dj_database_url.parse(url)
    try:
        connection = pymysql.connect(
            host=config["HOST"],
            port=config["PORT"],
            user=config["USER"],
            database=config["NAME"] or None,
            autocommit=True,
        )
    except pymysql.err.OperationalError as error:
        raise OSError(str(error)) from error
    with connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return {row[0]: row[1] for row in cursor.fetchall()}
