"""Who takes part, and how each one's backlog is made."""

from __future__ import annotations

from ..peers import OURS, Peer

#: What stands in ``OPTIONS`` of the example project's gateway; requests wait on this queue.
QUEUE = "pushjobs"


def _celery(key: str, name: str, app: str) -> Peer:
    return Peer(
        key=key,
        name=name,
        environment="celery-rows",
        app=app,
        command=("{bin}/celery", "-A", f"benchmarks.apps.{app}", "worker", "-P", "gevent",
                 "-c", "{concurrency}", "-l", "WARNING"),
        model="greenlets",
        pace=350,
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
        _celery("celery", "Celery, gevent, rows by hand", "celery_app"),
        _celery("celery-results", "Celery, gevent, django-celery-results", "celery_results_app"),
        Peer(
            key="dramatiq",
            name="dramatiq-gevent, rows by hand",
            environment="dramatiq-rows",
            app="dramatiq_app",
            command=("{bin}/dramatiq-gevent", "benchmarks.apps.dramatiq_app", "--processes", "1",
                     "--threads", "{concurrency}"),
            model="greenlets",
            pace=500,
        ),
        Peer(
            key="taskiq",
            name="taskiq, stream, rows by hand",
            environment="taskiq-rows",
            app="taskiq_app",
            command=("{bin}/taskiq", "worker", "benchmarks.apps.taskiq_app:broker", "--workers",
                     "1", "--max-async-tasks", "{concurrency}", "--log-level", "WARNING"),
            model="asyncio",
            pace=500,
            variables=(("BENCHMARK_BROKER", "stream"),),
        ),
    )
}  # fmt: skip
