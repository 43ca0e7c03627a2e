"""Transactions that are made again if the database broke a deadlock at their expense."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from django.db import OperationalError, connections, transaction

T = TypeVar("T")

#: Times that a transaction is made at most.
ATTEMPTS: Final = 5
#: SQLSTATE of PostgreSQL: deadlock_detected and serialization_failure.
_STATES: Final = frozenset({"40P01", "40001"})
#: MySQL and MariaDB: ER_LOCK_DEADLOCK.
_LOCK_DEADLOCK: Final = 1213


def atomically(move: Callable[[], T], *, using: str) -> T:
    """Return ``move()``, called in a transaction.

    Calls that take the same rows in another order may block each other; the database then undoes
    one of them. Within a transaction of the caller's, which is undone as a whole, it is up to the
    caller to begin again.

    :raises Exception: what ``move`` raises.
    """
    is_ours = not connections[using].in_atomic_block
    for attempts_left in reversed(range(ATTEMPTS)):
        try:
            with transaction.atomic(using=using):
                return move()
        except OperationalError as error:
            if not (attempts_left and is_ours and is_deadlock(error)):
                raise
    raise AssertionError("unreachable")


def is_deadlock(error: OperationalError) -> bool:
    """Return whether the database broke a deadlock."""
    cause = error.__cause__
    arguments = getattr(cause, "args", ())
    return getattr(cause, "sqlstate", None) in _STATES or arguments[:1] == (_LOCK_DEADLOCK,)
