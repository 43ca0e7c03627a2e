"""RQ's own client; its workers, and ours, take the jobs from there."""

from __future__ import annotations

import os
from collections.abc import Sequence

from redis import Redis
from rq import Queue

from .. import jobs

#: Jobs that one pipeline sends.
CHUNK = 500

queue = Queue("default", connection=Redis.from_url(os.environ["REDIS_URL"]))


def send(job: str, index: int) -> None:
    queue.enqueue(getattr(jobs, job), index)


def send_many(job: str, indexes: Sequence[int]) -> None:
    function = getattr(jobs, job)
    for first in range(0, len(indexes), CHUNK):
        chunk = indexes[first : first + CHUNK]
        queue.enqueue_many([Queue.prepare_data(function, args=(index,)) for index in chunk])
