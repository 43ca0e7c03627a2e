"""The keys of a site: the name of everything that we keep in Redis beside what is RQ's.

All of them begin alike, ``{pushjobs:3f9c61d0}:lease:relay``, so that sites can share a database of
Redis, and a user of Redis can be limited to the keys of one site. The braces are a hash tag: Redis
Cluster keeps all keys of a site in one slot, and so a script may name several.

=============  =================================================================================
kind           what it holds, and for whom
=============  =================================================================================
``callbacks``  the note that a job is on its way, for a callback endpoint
``control``    what wakes the reader of streams, for a process
``events``     the stream of changes, for a client
``lease``      which process does something that only one does at a time
``rate``       the tokens that were taken, for a limit
``slots``      who has a slot, for a limit
``vitals``     how busy and how large it is, for a child of a worker
=============  =================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Literal

from django.core.signals import setting_changed

from ..conf import conf

Kind = Literal["callbacks", "control", "events", "lease", "rate", "slots", "vitals"]

#: Keys that a process remembers: calls about the same things come again and again.
KEPT = 10_000


@lru_cache(KEPT)
def key(kind: Kind, name: str | int) -> str:
    """Return the key of one thing of its kind.

    :raises django.db.DatabaseError: see :func:`prefix`.
    """
    return f"{prefix()}:{kind}:{name}"


@cache
def prefix() -> str:
    """Return what all keys of this site begin with, the hash tag.

    :raises django.db.DatabaseError: the settings do not say it, and the database does not answer.
        It is asked once in the life of a process.
    """
    return f"{{{conf().REDIS_PREFIX or f'pushjobs:{_ask_for_site()}'}}}"


def name_site_by(ask: Callable[[], str]) -> None:
    """Tell the keys whom to ask for the id of this site: the truth, which lies above us."""
    global _ask_for_site
    _ask_for_site = ask


def _ask_nobody() -> str:
    raise RuntimeError("'django_pushjobs' is not in INSTALLED_APPS, or Django is not set up")


_ask_for_site: Callable[[], str] = _ask_nobody


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting == "PUSHJOBS":
        forget()


def forget() -> None:
    """Make the keys anew when they are next asked for."""
    prefix.cache_clear()
    key.cache_clear()


setting_changed.connect(_forget, dispatch_uid="django_pushjobs.broker.keys")
