"""Celery with django-celery-results: each result is a row that its Django backend writes."""

from __future__ import annotations

import os

from celery import Celery
from celery.signals import task_postrun
from django.db import connection

from .. import jobs, models  # noqa: F401  the site has to be there before the app

app = Celery("benchmarks", broker=os.environ["REDIS_URL"], backend="django-db")
TASKS = {"pipeline": app.task(name="pipeline")(jobs.pipeline)}


@task_postrun.connect
def give_back(**kwargs: object) -> None:
    """Celery does this itself where it finds the settings of a site."""
    connection.close()


def prepare() -> None:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def send(job: str, index: int) -> None:
    TASKS[job].delay(index)
