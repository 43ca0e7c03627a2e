"""Celery with Redis as its broker and, as by default, no result backend."""

from __future__ import annotations

import os

from celery import Celery

from .. import jobs

app = Celery("benchmarks", broker=os.environ["REDIS_URL"])
TASKS = {
    name: app.task(name=name)(getattr(jobs, name))
    for name in ("noop", "push", "pipeline", "bare_pipeline")
}


def send(job: str, index: int) -> None:
    TASKS[job].delay(index)
