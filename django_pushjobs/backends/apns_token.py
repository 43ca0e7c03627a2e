"""The provider token of APNs: one a process and key, whoever asks for it.

https://developer.apple.com/documentation/usernotifications/establishing-a-token-based-connection-to-apns
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable

import jwt

#: Seconds after which a token is made anew. APNs takes none that is older than an hour, and no two
#: within 20 minutes.
LIFETIME = 45 * 60
MIN_LIFETIME = 20 * 60


class ProviderToken:
    """A JWT, signed with ES256, that says who pushes.

    :param key: private key on P-256 as PEM, such as Apple's ``AuthKey_….p8``.
    :param key_id: its id, ten characters.
    :param team_id: the id of the team it belongs to, ten characters.
    :param clock: returns the seconds since the epoch.
    :raises ValueError: the key is not one.
    """

    def __init__(
        self, *, key: str, key_id: str, team_id: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._key = key
        self._key_id = key_id
        self._team_id = team_id
        self._clock = clock
        self._lock = threading.Lock()
        self._value = ""
        self._issued = 0.0
        self._renewed = -float(MIN_LIFETIME)
        #: How many have been made.
        self.minted = 0
        try:
            self._sign(0)
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise ValueError("key must be a private key on P-256 in PEM") from error

    def current(self) -> str:
        """Return the token in force; a new one is made when it is time."""
        if not 0 <= self._clock() - self._issued < LIFETIME or not self._value:
            with self._lock:
                # Whoever waited for the lock finds the work done.
                if not 0 <= self._clock() - self._issued < LIFETIME or not self._value:
                    self._mint()
        return self._value

    def renew(self, refused: str) -> bool:
        """Make a new token because APNs says that ``refused`` has expired.

        Returns False where that is of no use: one was made for this reason a short while ago, so
        it is our clock that is wrong, and APNs bears no other within 20 minutes.
        """
        with self._lock:
            if self._value != refused:
                return True  # somebody else has made it
            now = self._clock()
            if 0 <= now - self._renewed < MIN_LIFETIME:
                return False
            self._renewed = now
            self._mint()
            # Where both are of the same second they are the same but for the signature.
            return True

    def _mint(self) -> None:
        self._issued = self._clock()
        self._value = self._sign(int(self._issued))
        self.minted += 1

    def _sign(self, issued: int) -> str:
        return jwt.encode(
            {"iss": self._team_id, "iat": issued},
            self._key,
            algorithm="ES256",
            headers={"kid": self._key_id, "typ": None},
        )


def provider_token(*, key: str, key_id: str, team_id: str) -> ProviderToken:
    """Return the token of this process for a key: aliases with the same key share it.

    :raises ValueError: the key is not one.
    """
    name = (team_id, key_id, hashlib.sha256(key.encode()).digest())
    with _lock:
        if name not in _tokens:
            _tokens[name] = ProviderToken(key=key, key_id=key_id, team_id=team_id)
        return _tokens[name]


_lock = threading.Lock()
_tokens: dict[tuple[str, str, bytes], ProviderToken] = {}
