"""Which site this is."""

from __future__ import annotations

import secrets
from typing import Any, ClassVar, Final

from django.apps.registry import Apps
from django.apps.registry import apps as global_apps
from django.db import connections, models, router

from .primary import PrimaryModel

#: The key of the only row.
ONLY: Final = 1


def new_identifier() -> str:
    return secrets.token_hex(4)


class Site(PrimaryModel):
    """The one row by which this site is told from others that use the same Redis.

    ``migrate`` makes it. Whoever deletes it gets another one, and a copy of the database has the
    same.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY)
    identifier = models.CharField(max_length=32, default=new_identifier)
    #: Grows whenever a callback endpoint is changed.
    endpoints_version = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = (
            models.CheckConstraint(name="pushjobs_one_site", condition=models.Q(pk=ONLY)),
        )

    def __str__(self) -> str:
        return self.identifier


def make_site(*, using: str, apps: Apps = global_apps, **kwargs: Any) -> None:
    """Make the row, if there is none. Called after ``migrate`` and ``flush``, so outside of
    transactions that might roll it back: no process ever sees a row that another does not."""
    try:
        site = apps.get_model("django_pushjobs", "Site")
    except LookupError:
        return  # the table is not there yet, or not any more
    if router.allow_migrate_model(using, site):
        site._default_manager.using(using).get_or_create(pk=ONLY)


def site_identifier() -> str:
    """Return the id of this site.

    Many threads ask that need nothing else of the database, so none keeps a connection for it.

    :raises django.db.DatabaseError: the database does not answer.
    """
    connection = connections[router.db_for_write(Site)]
    is_new = connection.connection is None
    try:
        site, _ = Site.objects.using(connection.alias).get_or_create(pk=ONLY)
    finally:
        if is_new and not connection.in_atomic_block:
            connection.close()
    return site.identifier
