"""Rows are read from the database that they are written to.

A project may have a router that sends reads to replicas, and these are late. What this app has just
written it must also read: a request that was moved to QUEUED, the row behind a ``Location``, a key
that was revoked. So replicas are not asked, unless a caller names one by ``using()``.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

from django.db import models, router

_Row = TypeVar("_Row", bound=models.Model)


class PrimaryQuerySet(models.QuerySet[_Row]):
    """Reads from the database that the routers name for writing."""

    @property
    def db(self) -> str:
        return _primary_of(self)


class PrimaryManager(models.Manager[_Row]):
    _queryset_class = PrimaryQuerySet

    @property
    def db(self) -> str:
        return _primary_of(self)


def _primary_of(rows: Any) -> str:
    return cast(str, rows._db or router.db_for_write(rows.model, **rows._hints))


class PrimaryModel(models.Model):
    """What all models of this app have in common: also what is related to a row is read there."""

    objects = PrimaryManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"
