"""RQ's own pool of processes, with our worker class: ``python -m gevent.monkey pool.py URL``."""

from __future__ import annotations

import sys

import django
from redis import Redis
from rq.worker_pool import WorkerPool

django.setup()

from django_pushjobs.worker.gevent_worker import GeventWorker  # noqa: E402

pool = WorkerPool(
    ["default"], connection=Redis.from_url(sys.argv[1]), num_workers=2, worker_class=GeventWorker
)
pool.start(burst=True, logging_level="INFO")
