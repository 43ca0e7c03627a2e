"""How long a process that answers third parties waits for Redis.

A Redis that hangs is worse than one that is down, for whoever waits for an answer. So a call to it
has ``REDIS_TIMEOUT`` seconds, and after one that took longer Redis is left alone for :data:`REST`
seconds: the doorbell, the limits and the listeners do without it, and the relay enqueues what was
not. Then one call tries again. Nobody waits for a worker, which has the patience of redis-py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as TimedOut
from redis.retry import Retry

from ..conf import conf

T = TypeVar("T")

#: Seconds for which a Redis that did not answer in time is not asked.
REST: Final = 2.0


class NotAsked(RedisError):
    """Redis did not answer in time a moment ago."""


class Patience(Retry):
    """What is known about one Redis: redis-py runs each of its calls through this.

    A connection that is lost is replaced once. One whose answer is late is not: the caller has
    waited long enough.
    """

    def __init__(self) -> None:
        super().__init__(NoBackoff(), 1, (Disconnected,))
        self._rests_until = 0.0

    def __deepcopy__(self, memo: dict[int, Any]) -> Patience:
        # Each connection makes itself a copy; they are to know the same.
        return self

    def apply(self, redis: Redis) -> None:
        """Have the calls of ``redis`` end in time."""
        timeout = conf().REDIS_TIMEOUT
        options = redis.connection_pool.connection_kwargs
        options |= {"socket_timeout": timeout, "socket_connect_timeout": timeout, "retry": self}

    def check(self) -> None:
        """Ask before each call.

        :raises NotAsked: Redis is left alone.
        """
        if not self._rests_until:
            return
        now = time.monotonic()
        if now < self._rests_until:
            raise NotAsked("it did not answer in time")
        # Of the calls from now on, this one finds out.
        self._rests_until = now + REST

    def call_with_retry(self, do: Callable[[], T], fail: Any, *args: Any, **kwargs: Any) -> T:
        began = time.monotonic()
        try:
            answer = super().call_with_retry(do, fail, *args, **kwargs)
        except TimedOut:
            # If it took much longer, it was us who did not look.
            if time.monotonic() - began < 2 * conf().REDIS_TIMEOUT:
                self._rests_until = time.monotonic() + REST
            raise
        self._rests_until = 0.0
        return answer
