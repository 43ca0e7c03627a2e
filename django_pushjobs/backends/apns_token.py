"""The provider token of APNs: one per process and key, shared by all aliases with that key.

https://developer.apple.com/documentation/usernotifications/establishing-a-token-based-connection-to-apns
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable

import jwt

from .token_age import Made

#: Seconds after which a token is replaced. APNs refuses tokens that are older than an hour, and a
#: second one within 20 minutes.
LIFETIME = 45 * 60
MIN_LIFETIME = 20 * 60


class ProviderToken:
    """A JWT, signed with ES256, that identifies us.

    :param key: private key on P-256 as PEM, such as Apple's ``AuthKey_….p8``.
    :param key_id: the id of the key, ten characters.
    :param team_id: the id of the team that the key belongs to, ten characters.
    :param clock: returns the seconds since the epoch.
    :param steady: returns the seconds of a clock that nobody sets.
    :raises ValueError: ``key`` is not such a key.
    """

    def __init__(
        self,
        *,
        key: str,
        key_id: str,
        team_id: str,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._key = key
        self._key_id = key_id
        self._team_id = team_id
        self._clock = clock
        self._steady = steady
        self._lock = threading.Lock()
        self._value = ""
        self._made = Made(0.0, 0.0)
        #: By the steady clock: when one was made because APNs refused the one before.
        self._renewed: float | None = None
        #: The number of tokens that have been made.
        self.minted = 0
        try:
            self._sign(0)
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise ValueError("key must be a private key on P-256 in PEM") from error

    def current(self) -> str:
        """Return the current token; a new one is made when it is time."""
        if not self._is_current():
            with self._lock:
                # Another greenlet may have made it while this one waited for the lock.
                if not self._is_current():
                    self._mint()
        return self._value

    def _is_current(self) -> bool:
        return self._value != "" and self._made.is_younger(
            LIFETIME, wall=self._clock(), steady=self._steady()
        )

    def renew(self, refused: str) -> bool:
        """Make a new token because APNs says that ``refused`` has expired or is invalid.

        Returns False if that is useless: one was made for this reason less than 20 minutes ago, so
        our clock is wrong, and APNs would refuse another token so soon.
        """
        with self._lock:
            if self._value != refused:
                return True  # another greenlet has made it
            now = self._steady()
            if self._renewed is not None and now < self._renewed + MIN_LIFETIME:
                return False
            self._renewed = now
            self._mint()
            # If both were made in the same second, only their signatures differ.
            return True

    def _mint(self) -> None:
        self._made = Made(self._clock(), self._steady())
        self._value = self._sign(int(self._made.wall))
        self.minted += 1

    def _sign(self, issued: int) -> str:
        return jwt.encode(
            {"iss": self._team_id, "iat": issued},
            self._key,
            algorithm="ES256",
            headers={"kid": self._key_id, "typ": None},
        )


def provider_token(*, key: str, key_id: str, team_id: str) -> ProviderToken:
    """Return the token of this process for a key. Aliases with the same key share it.

    :raises ValueError: ``key`` is not a private key on P-256 in PEM.
    """
    name = (team_id, key_id, hashlib.sha256(key.encode()).digest())
    with _lock:
        if name not in _tokens:
            _tokens[name] = ProviderToken(key=key, key_id=key_id, team_id=team_id)
        return _tokens[name]


_lock = threading.Lock()
_tokens: dict[tuple[str, str, bytes], ProviderToken] = {}
