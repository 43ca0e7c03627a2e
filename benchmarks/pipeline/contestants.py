"""Who takes part, and how each one's backlog is made."""

from __future__ import annotations

from dataclasses import replace

from ..peers import OURS, Peer
from ..rows import APPS

#: The queue of the example project.
QUEUE = "pushjobs"

#: The peers have a Django site of their own; the environment names ours.
_SITE = (("DJANGO_SETTINGS_MODULE", ""),)


def _celery(key: str, name: str, app: str, apps: str = "") -> Peer:
    return Peer(
        key=key,
        name=name,
        environment="celery-rows",
        app=app,
        command=("{bin}/celery", "-A", f"benchmarks.apps.{app}", "worker", "-P", "gevent",
                 "-c", "{concurrency}", "-l", "WARNING"),
        model="greenlets",
        pace=350,
        variables=(*_SITE, (APPS, apps)),
    )  # fmt: skip


_DRAMATIQ = Peer(
    key="dramatiq",
    name="dramatiq-gevent",
    environment="dramatiq-rows",
    app="dramatiq_app",
    command=("{bin}/dramatiq-gevent", "benchmarks.apps.dramatiq_app", "--processes", "1",
             "--threads", "{concurrency}"),
    model="greenlets",
    pace=500,
    variables=_SITE,
)  # fmt: skip
_TASKIQ = Peer(
    key="taskiq",
    name="taskiq, stream",
    environment="taskiq-rows",
    app="taskiq_app",
    command=("{bin}/taskiq", "worker", "benchmarks.apps.taskiq_app:broker", "--workers", "1",
             "--max-async-tasks", "{concurrency}", "--log-level", "WARNING"),
    model="asyncio",
    pace=400,
    variables=(*_SITE, ("BENCHMARK_BROKER", "stream")),
)  # fmt: skip

CONTESTANTS = {
    peer.key: peer
    for peer in (
        Peer(
            key=OURS,
            name="django-pushjobs",
            environment="ours",
            app="ours_app",
            command=("{bin}/python", "manage.py", "rqgeventworker", QUEUE, "--processes", "1",
                     "--concurrency", "{concurrency}", "--verbosity", "0"),
            model="greenlets",
            pace=2_000,
        ),
        _celery("celery", "Celery, gevent", "celery_app"),
        _celery("celery-results", "Celery, gevent, django-celery-results", "celery_results_app",
                "django.contrib.contenttypes django_celery_results"),
        _DRAMATIQ,
        _TASKIQ,
        replace(_DRAMATIQ, key="dramatiq-bare", name="dramatiq-gevent without Django", pace=1_000),
        replace(_TASKIQ, key="taskiq-bare", name="taskiq, stream, without Django", pace=1_000),
    )
}  # fmt: skip

#: Those that leave Django out, and the message in the row with it.
BARE = ("dramatiq-bare", "taskiq-bare")


def job_of(peer: Peer) -> str:
    """Return the name of the job that a contestant runs, see :mod:`benchmarks.jobs`."""
    return "bare_pipeline" if peer.key in BARE else "pipeline"
