"""Who takes part, as data: what to install, how to start a worker, how it is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

_CELERY = ["celery[redis]", "hiredis", "gevent", "geventhttpclient"]
_DRAMATIQ = ["dramatiq[redis,gevent]", "hiredis", "geventhttpclient"]
_TASKIQ = ["taskiq", "taskiq-redis", "hiredis", "aiohttp", "uvloop"]

#: Environment -> what pip installs into it. The one called ``ours`` is this project's.
ENVIRONMENTS: dict[str, list[str]] = {
    "ours": [],
    "rq": ["rq>=3.0", "redis[hiredis]", "gevent", "geventhttpclient"],
    "celery": _CELERY,
    "dramatiq": _DRAMATIQ,
    "huey": ["huey", "redis[hiredis]", "gevent", "geventhttpclient"],
    "taskiq": _TASKIQ,
    "arq": ["arq", "hiredis", "aiohttp", "uvloop"],
    "streaq": ["streaq", "aiohttp", "uvloop"],
    "saq": ["saq[redis]", "hiredis", "aiohttp", "uvloop"],
    # With a database to write to.
    "celery-rows": [*_CELERY, "psycopg[binary,pool]", "django", "django-celery-results"],
    "dramatiq-rows": [*_DRAMATIQ, "psycopg[binary,pool]", "django"],
    "taskiq-rows": [*_TASKIQ, "psycopg[binary,pool]", "django"],
    "push-notifications": [
        "django-push-notifications[WP,FCM,APNS-ASYNC]",
        "celery[redis]",
        "gevent",
    ],
}
#: Packages whose versions tell what was measured.
TELLING = (
    *("rq", "django", "gevent", "celery", "dramatiq", "huey", "taskiq", "taskiq-redis", "arq"),
    *("streaq", "saq", "redis", "coredis", "hiredis", "uvloop", "geventhttpclient", "aiohttp"),
)

OURS, OURS_TWICE = "ours", "ours-2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One way to run jobs.

    :param key: how the command line calls it.
    :param name: how tables call it.
    :param environment: a key of :data:`ENVIRONMENTS`.
    :param app: the module in :mod:`benchmarks.apps` that sends its jobs.
    :param command: what starts one worker process; ``{bin}`` is the folder of the environment's
        programs, ``{concurrency}`` the number of jobs at once.
    :param model: what a job runs in.
    :param processes: processes that run jobs.
    :param pace: jobs that do nothing in a second, roughly: only to send a backlog that lasts for
        the time a trial takes.
    """

    key: str
    name: str
    environment: str
    app: str
    command: tuple[str, ...]
    model: Literal["greenlets", "asyncio", "one at a time"]
    pace: int
    variables: tuple[tuple[str, str], ...] = ()
    processes: int = 1

    @property
    def is_concurrent(self) -> bool:
        return self.model != "one at a time"


def _rq(kind: str, name: str, pace: int) -> Peer:
    python = ["{bin}/python"]
    if kind == "naive":
        python += ["-m", "gevent.monkey", "--module"]
    else:
        python += ["-m"]
    return Peer(
        key=f"rq-{kind}",
        name=name,
        environment="rq",
        app="rq_app",
        command=(*python, "benchmarks.apps.rq_worker", kind),
        model="one at a time",
        pace=pace,
    )


def _taskiq(kind: str, pace: int) -> Peer:
    return Peer(
        key=f"taskiq-{kind}",
        name=f"taskiq, {kind}",
        environment="taskiq",
        app="taskiq_app",
        command=("{bin}/taskiq", "worker", "benchmarks.apps.taskiq_app:broker", "--workers", "1",
                 "--max-async-tasks", "{concurrency}", "--log-level", "WARNING"),
        model="asyncio",
        pace=pace,
        variables=(("BENCHMARK_BROKER", kind),),
    )  # fmt: skip


def _ours(key: str, name: str, processes: int) -> Peer:
    return Peer(
        key=key,
        name=name,
        environment="ours",
        app="rq_app",
        command=("{bin}/python", "manage.py", "rqgeventworker", "default",
                 "--processes", str(processes), "--concurrency", "{concurrency}", "--no-relay"),
        model="greenlets",
        pace=8_000,
        processes=processes,
    )  # fmt: skip


ALL = (
    _ours(OURS, "rqgeventworker", 1),
    _ours(OURS_TWICE, "rqgeventworker, two processes", 2),
    _rq("fork", "RQ Worker", 80),
    _rq("simple", "RQ SimpleWorker", 300),
    _rq("pool", "RQ worker-pool", 80),
    _rq("naive", "naive GeventWorker", 250),
    Peer(
        key="celery",
        name="Celery, gevent",
        environment="celery",
        app="celery_app",
        command=("{bin}/celery", "-A", "benchmarks.apps.celery_app", "worker", "-P", "gevent",
                 "-c", "{concurrency}", "-l", "WARNING"),
        model="greenlets",
        pace=1_200,
    ),
    Peer(
        key="dramatiq",
        name="dramatiq-gevent",
        environment="dramatiq",
        app="dramatiq_app",
        command=("{bin}/dramatiq-gevent", "benchmarks.apps.dramatiq_app", "--processes", "1",
                 "--threads", "{concurrency}"),
        model="greenlets",
        pace=7_000,
    ),
    Peer(
        key="huey",
        name="huey, greenlet",
        environment="huey",
        app="huey_app",
        # Patching is left to the user.
        command=("{bin}/python", "-m", "gevent.monkey", "{bin}/huey_consumer",
                 "benchmarks.apps.huey_app.huey", "-k", "greenlet", "-w", "{concurrency}", "-q"),
        model="greenlets",
        pace=4_500,
    ),
    _taskiq("list", 4_000),
    _taskiq("stream", 4_500),
    Peer(
        key="arq",
        name="arq",
        environment="arq",
        app="arq_app",
        command=("{bin}/arq", "benchmarks.apps.arq_app.WorkerSettings"),
        model="asyncio",
        pace=2_500,
    ),
    Peer(
        key="streaq",
        name="streaq",
        environment="streaq",
        app="streaq_app",
        command=("{bin}/streaq", "run", "benchmarks.apps.streaq_app:worker"),
        model="asyncio",
        pace=2_000,
    ),
    Peer(
        key="saq",
        name="saq",
        environment="saq",
        app="saq_app",
        command=("{bin}/saq", "benchmarks.apps.saq_app.settings"),
        model="asyncio",
        pace=3_500,
    ),
)  # fmt: skip
PEERS = {peer.key: peer for peer in ALL}
