"""Stops idle workers at the moment a job arrives: ``python -m gevent.monkey closing.py URL TIMES``.

Prints what became of the jobs: how many wait on their queue, how many are finished.
"""

from __future__ import annotations

import random
import signal
import sys
from collections import Counter

import django
import gevent
from redis import Redis
from rq import Queue

django.setup()

from django_pushjobs.worker.gevent_worker import GeventWorker  # noqa: E402
from tests.support import jobs  # noqa: E402

#: Seconds between the moment a job is sent and the stop, at most.
LATEST = 0.003


def main(url: str, times: int) -> None:
    found: Counter[str] = Counter()
    for _ in range(times):
        with Redis.from_url(url) as connection:
            queue = Queue("default", connection=connection)
            worker = GeventWorker([queue], connection=Redis.from_url(url))
            working = gevent.spawn(worker.work, logging_level="WARNING")
            while not connection.info("clients")["blocked_clients"]:
                gevent.sleep(0.001)
            gevent.spawn_later(random.uniform(0, LATEST), worker.request_stop, signal.SIGTERM, None)
            job = queue.enqueue(jobs.nothing)
            working.get(timeout=10)
            found[job.get_status().value] += 1
            queue.empty()
    print(dict(found))


main(sys.argv[1], int(sys.argv[2]))
