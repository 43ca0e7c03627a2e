"""A token that all greenlets of a process share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gevent.lock import Semaphore

from .outcomes import Outcome

#: Seconds before its end at which a token is renewed, while it is still good.
AHEAD: Final = 300.0
#: Seconds between two tries after one that failed, and between two tokens that were refused.
REST: Final = 10.0


@dataclass(frozen=True, slots=True)
class Token:
    """:param ends_at: in the seconds of ``time.monotonic()``."""

    value: str
    ends_at: float


class TokenUnavailable(Exception):
    """There is no token now; ``outcome`` is what that means for a push."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        super().__init__(outcome.detail)


class SharedToken:
    """Fetches a token at first use and renews it ahead of its end; one greenlet at a time does.

    While the old token is good, nobody else waits for the new one. Where there is none, all wait
    for the one that fetches, and share what it gets: the token, or its failure, which is not
    tried again before :data:`REST` seconds.

    :param fetch: returns a new token, or raises :class:`TokenUnavailable`.
    """

    def __init__(
        self, fetch: Callable[[], Token], *, ahead: float = AHEAD, rest: float = REST
    ) -> None:
        self._fetch = fetch
        self._ahead = ahead
        self._rest = rest
        # gevent's own, so that a greenlet which waits lets the others run, patched or not.
        self._turn = Semaphore(1)
        self._token: Token | None = None
        self._failure: TokenUnavailable | None = None
        self._resting_until = 0.0
        self._refused_at = -rest

    def get(self) -> str:
        """Return a token that is good.

        :raises TokenUnavailable: there is none now.
        """
        token, now = self._token, time.monotonic()
        if token is not None and now < token.ends_at:
            due = now >= token.ends_at - self._ahead and now >= self._resting_until
            if not due or not self._turn.acquire(blocking=False):
                return token.value
            try:
                return self._renew().value
            except TokenUnavailable:
                return token.value
            finally:
                self._turn.release()
        with self._turn:
            token, now = self._token, time.monotonic()
            if token is not None and now < token.ends_at:
                return token.value
            if self._failure is not None and now < self._resting_until:
                raise TokenUnavailable(self._failure.outcome)
            return self._renew().value

    def refuse(self, value: str) -> bool:
        """Say that the provider does not take ``value``; return whether another one is worth a try.

        It is where somebody else has renewed it meanwhile, and otherwise where the last refusal is
        a while ago: a provider that takes no token at all is not asked for ever new ones.
        """
        token, now = self._token, time.monotonic()
        if token is None or token.value != value:
            return True
        if now < self._refused_at + self._rest:
            return False
        self._refused_at, self._token = now, None
        return True

    def _renew(self) -> Token:
        try:
            token = self._fetch()
        except TokenUnavailable as failure:
            self._failure, self._resting_until = failure, time.monotonic() + self._rest
            raise
        self._token, self._failure = token, None
        return token
