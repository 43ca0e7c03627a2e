"""A token that all greenlets of a process share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ..transport.locks import Lock
from .outcomes import Outcome

#: Seconds before its expiry at which a token is renewed, while it is still valid.
AHEAD: Final = 300.0
#: Seconds to wait after a fetch that failed.
REST: Final = 10.0
#: Seconds between two tokens that are fetched because the provider refused the one before.
REFUSED_REST: Final = 600.0


@dataclass(frozen=True, slots=True)
class Token:
    """An access token.

    :param ends_at: when it expires, in the seconds of ``time.monotonic()``.
    """

    value: str
    ends_at: float


class TokenUnavailable(Exception):
    """There is no token at the moment; ``outcome`` is what that means for a push."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        super().__init__(outcome.detail)


class SharedToken:
    """Fetches a token on first use and renews it ahead of its expiry, one greenlet at a time.

    While the old token is valid, no other greenlet waits for the new one. If there is none, they
    all wait for the one that fetches and share its result: the token, or the failure, after which
    nobody fetches for ``rest`` seconds.

    :param fetch: returns a new token, or raises :class:`TokenUnavailable`.
    :param ahead: seconds, see :data:`AHEAD`.
    :param rest: seconds, see :data:`REST`.
    :param refused_rest: seconds, see :data:`REFUSED_REST`.
    """

    def __init__(
        self,
        fetch: Callable[[], Token],
        *,
        ahead: float = AHEAD,
        rest: float = REST,
        refused_rest: float = REFUSED_REST,
    ) -> None:
        self._fetch = fetch
        self._ahead = ahead
        self._rest = rest
        self._refused_rest = refused_rest
        self._turn = Lock()
        self._token: Token | None = None
        self._failure: TokenUnavailable | None = None
        self._resting_until = 0.0
        self._refused_at = -refused_rest

    def get(self) -> str:
        """Return a valid token.

        :raises TokenUnavailable: there is none at the moment.
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
        """Note that the provider refused ``value``; return whether another token is worth a try.

        It is if another greenlet has renewed the token meanwhile, or if the last refusal was more
        than ``refused_rest`` seconds ago: if the provider refuses every token, we do not keep
        fetching.
        """
        token, now = self._token, time.monotonic()
        if token is None or token.value != value:
            return True
        if now < self._refused_at + self._refused_rest:
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
