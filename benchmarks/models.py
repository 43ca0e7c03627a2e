"""The rows of :mod:`.rows` in a Django site: what an engineer writes without this package."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import django
from django.conf import settings
from django.db import connection, models
from django.utils import timezone

from .rows import APPS, POOL, TABLE

url = urlsplit(os.environ["DATABASE_URL"])
settings.configure(
    SECRET_KEY="benchmarks",
    USE_TZ=True,
    INSTALLED_APPS=os.environ.get(APPS, "").split(),
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            # A socket's folder stands behind the question mark.
            "HOST": url.hostname or parse_qs(url.query)["host"][0],
            "PORT": url.port or "",
            "NAME": url.path.strip("/"),
            "USER": url.username,
            "PASSWORD": url.password or "",
            "OPTIONS": {"pool": {"min_size": 1, "max_size": POOL, "timeout": 120}},
        }
    },
)
django.setup()


class Row(models.Model):
    """A message, and what became of it."""

    id = models.IntegerField(primary_key=True)
    recipient = models.CharField(max_length=255)
    title = models.CharField(max_length=255)
    body = models.TextField()
    error = models.TextField()
    status = models.CharField(max_length=16)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        app_label = "benchmarks"
        db_table = TABLE
        managed = False

    def __str__(self) -> str:
        return self.title

    @classmethod
    def claim(cls, index: int) -> Row | None:
        """Return the row, RUNNING, or None where somebody else has it."""
        queued = cls.objects.filter(pk=index, status="queued")
        if not queued.update(status="running", started_at=timezone.now()):
            return None
        return cls.objects.get(pk=index)

    def finish(self) -> None:
        running = Row.objects.filter(pk=self.pk, status="running")
        running.update(status="succeeded", error="", finished_at=timezone.now())

    @classmethod
    async def aclaim(cls, index: int) -> Row | None:
        queued = cls.objects.filter(pk=index, status="queued")
        if not await queued.aupdate(status="running", started_at=timezone.now()):
            return None
        return await cls.objects.aget(pk=index)

    async def afinish(self) -> None:
        running = Row.objects.filter(pk=self.pk, status="running")
        await running.aupdate(status="succeeded", error="", finished_at=timezone.now())


@contextmanager
def connected() -> Iterator[None]:
    """Give the connection back to its pool afterwards, as Django does at the end of a request.

    Whoever kept it while the gateway takes its time would need one for each job.
    """
    try:
        yield
    finally:
        connection.close()
