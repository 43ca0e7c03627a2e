"""Checks of what we need from the rest of a project."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.db import connections, router

from ..models import PushRequest

_SQLITE_HINT: Final = (
    "If several processes write, SQLite needs this in the OPTIONS of the database: "
    '{"transaction_mode": "IMMEDIATE", "timeout": 20, '
    '"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"}.'
)


def missing_apps() -> Iterator[checks.CheckMessage]:
    if not apps.is_installed("django_rq"):
        yield checks.Error(
            "'django_rq' is not in INSTALLED_APPS.",
            hint="Push requests reach the workers through django-rq: add 'django_rq'.",
            id="django_pushjobs.E012",
        )


def naive_times() -> Iterator[checks.CheckMessage]:
    if not settings.USE_TZ:
        yield checks.Error(
            "USE_TZ is False.",
            hint="Push requests are scheduled and expire at aware times: set USE_TZ = True.",
            id="django_pushjobs.E017",
        )


def fragile_sqlite() -> Iterator[checks.CheckMessage]:
    alias = router.db_for_write(PushRequest)
    database = connections.settings.get(alias, {})
    if database.get("ENGINE") != "django.db.backends.sqlite3":
        return
    options = database.get("OPTIONS", {})
    if not re.search(r"journal_mode\s*=\s*'?wal\b", options.get("init_command") or "", re.I):
        yield checks.Warning(
            f"The SQLite database {alias!r} is not in WAL mode.",
            hint=_SQLITE_HINT,
            id="django_pushjobs.W001",
        )
    if str(options.get("transaction_mode") or "").upper() not in {"IMMEDIATE", "EXCLUSIVE"}:
        yield checks.Warning(
            f"Transactions of the SQLite database {alias!r} are not IMMEDIATE.",
            hint=_SQLITE_HINT,
            id="django_pushjobs.W002",
        )


def insecure_destinations() -> Iterator[checks.CheckMessage]:
    given = getattr(settings, "PUSHJOBS", {})
    if isinstance(given, dict) and given.get("INSECURE_DESTINATIONS") and not settings.DEBUG:
        yield checks.Warning(
            "PUSHJOBS['INSECURE_DESTINATIONS'] is on, but DEBUG is off.",
            hint="Third parties can make this machine call itself: use it in development only.",
            id="django_pushjobs.W003",
        )
