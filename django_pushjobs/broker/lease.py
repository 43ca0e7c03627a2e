"""What only one process of a site does at a time."""

from __future__ import annotations

from redis.exceptions import LockError, RedisError
from redis.lock import Lock
from rq.utils import as_text

from ..runtime.processes import is_dead, new_token
from .keys import key
from .queues import connection


class Lease:
    """Something that one process of a site holds at a time, for as long as it renews it.

    :param seconds: how long it holds without being renewed.
    """

    def __init__(self, name: str, seconds: float) -> None:
        self._name = name
        self._seconds = seconds
        self._lock: Lock | None = None
        #: Whether it was not ours a moment ago: somebody else has had it, or Redis has lost it.
        self.is_new = False

    def hold(self) -> bool:
        """Take it or renew it; return whether it is ours.

        Without Redis it is everybody's: what it guards must do no harm if it is done twice.

        :raises django.db.DatabaseError: see :func:`.keys.prefix`.
        """
        self.is_new = False
        try:
            if self._lock is not None:
                try:
                    return bool(self._lock.reacquire())
                except LockError:
                    self._lock = None
            lock = connection().lock(
                self._key, timeout=self._seconds, blocking=False, thread_local=False
            )
            if not lock.acquire(token=new_token()) and not self._inherit(lock):
                return False
        except RedisError:
            return True
        self._lock, self.is_new = lock, True
        return True

    @property
    def _key(self) -> str:
        return key("lease", self._name)

    def _inherit(self, lock: Lock) -> bool:
        """Take it from a process that is certainly dead, before it expires."""
        holder = as_text(connection().get(self._key) or "")
        if not holder or not is_dead(holder):
            return False
        try:
            lock.do_release(holder)
        except LockError:
            pass  # somebody else was first
        return bool(lock.acquire(token=new_token()))

    def drop(self) -> None:
        """Give it back, so that the next process need not wait for it to expire."""
        if self._lock is not None:
            try:
                self._lock.release()
            except RedisError:
                pass
            self._lock = None
