"""Celery with django-celery-results: each result is a row that its Django backend writes."""

from __future__ import annotations

import os
from urllib.parse import parse_qs, urlsplit

import django
from celery import Celery
from django.conf import settings

from .. import jobs

url = urlsplit(os.environ["DATABASE_URL"])
settings.configure(
    SECRET_KEY="benchmarks",
    USE_TZ=True,
    INSTALLED_APPS=["django.contrib.contenttypes", "django_celery_results"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            # A socket's folder stands behind the question mark.
            "HOST": url.hostname or parse_qs(url.query)["host"][0],
            "PORT": url.port or "",
            "NAME": url.path.strip("/"),
            "USER": url.username,
            "PASSWORD": url.password or "",
            "CONN_MAX_AGE": 60,
        }
    },
)
django.setup()
app = Celery("benchmarks", broker=os.environ["REDIS_URL"], backend="django-db")
TASKS = {"pipeline": app.task(name="pipeline")(jobs.pipeline)}


def prepare() -> None:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def send(job: str, index: int) -> None:
    TASKS[job].delay(index)
