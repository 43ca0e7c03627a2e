"""A router like that of Django's documentation: writes go to the primary, reads to a replica.

The replica of tests is as late as one can be: it has nothing at all, not even tables, and
pytest-django does not let a test ask it.
"""

from __future__ import annotations

from typing import Any


class ReplicaRouter:
    """For the models of this app only: those of others are the project's affair."""

    def db_for_read(self, model: type[Any], **hints: Any) -> str | None:
        return "replica" if model._meta.app_label == "django_pushjobs" else None

    def db_for_write(self, model: type[Any], **hints: Any) -> str | None:
        return "default" if model._meta.app_label == "django_pushjobs" else None

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool:
        return True

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db == "default"
