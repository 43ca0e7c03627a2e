"""Access tokens for Google's APIs by a service account (RFC 7523)."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..transport.connections import Connections
from ..transport.exchanges import exchange
from ..transport.failures import PROXY_WORDS
from ..transport.requests import http_request
from .answers import Answers
from .options import missing_extra
from .shared_token import Token, TokenUnavailable

#: Seconds that an access token is usually valid, and the most that Google can be told to allow:
#: https://cloud.google.com/iam/docs/create-short-lived-credentials-direct#sa-credentials-oauth
LIFETIME = 3_600.0
MAX_LIFETIME = 43_200.0

_MAX_RESPONSE = 65_536


class ServiceAccount:
    """Requests access tokens from the authorization server.

    google-auth makes the assertion and reads the answer; the request goes over our connections, so
    that other greenlets can run while it waits.

    :param credentials: the key file of a service account, or its content.
    :param scope: what the tokens give access to.
    :param answers: has the words ``bad_credentials`` and ``no_token``.
    :param connect_timeout: seconds to connect to one address of the server.
    :param timeout: seconds for a whole request.
    :param ca_file: PEM file with the authorities to trust instead of the system's.
    :param proxy: URL of the proxy to go through, or ``"environment"``.
    :raises ValueError: this is not the key of a service account, ``proxy`` is wrong, or google-auth
        is not installed.
    """

    def __init__(
        self,
        credentials: str | Mapping[str, Any],
        *,
        scope: str,
        answers: Answers,
        connect_timeout: float,
        timeout: float,
        ca_file: str | None,
        proxy: str | None = None,
    ) -> None:
        try:
            from google.oauth2 import service_account
        except ImportError as error:
            raise missing_extra("fcm", error) from error
        info = _info(credentials)
        maker: Any = service_account.Credentials
        try:
            self._credentials = maker.from_service_account_info(info, scopes=[scope])
        except Exception as error:
            # The parser's message may contain what it could not parse.
            raise ValueError(
                f"credentials are not the key of a service account ({type(error).__name__})"
            ) from None
        self.project = str(info.get("project_id") or "")
        self._answers = answers
        self._timeout = timeout
        self._server = Connections(
            info["token_uri"],
            size=2,
            connect_timeout=connect_timeout,
            ca_file=ca_file,
            proxy=proxy,
        )

    def fetch(self) -> Token:
        """Return a new access token.

        :raises TokenUnavailable: CONFIG if the key is refused, or we are by the proxy; RETRY if
            there is no answer.
        """
        from google.auth import exceptions

        try:
            try:
                self._credentials.refresh(self._call)
            except exceptions.TransportError:
                # Every push would pay for one lost connection with an attempt.
                self._credentials.refresh(self._call)
        except exceptions.GoogleAuthError as error:
            refused = isinstance(error, exceptions.RefreshError) and not error.retryable
            word = "bad_credentials" if refused else "no_token"
            raise TokenUnavailable(self._answers.outcome(word)) from None
        expiry: datetime | None = self._credentials.expiry
        seconds = 0.0
        if expiry is not None:
            seconds = expiry.replace(tzinfo=UTC).timestamp() - time.time()
        if not 0 < seconds <= MAX_LIFETIME:
            # The clock was set meanwhile, or Google did not say.
            seconds = LIFETIME
        return Token(str(self._credentials.token), time.monotonic() + seconds)

    def close(self) -> None:
        self._server.close()

    def _call(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> _Response:
        """The transport that google-auth calls: ``google.auth.transport.Request``."""
        from google.auth.exceptions import TransportError

        error: Any = TransportError
        server = self._server
        request = http_request(
            server.path, server.authority, headers or {}, body or b"", method=method
        )
        reply = exchange(
            server,
            request,
            timeout=self._timeout,
            max_response=_MAX_RESPONSE,
            idempotent=True,
            body_time=self._timeout,  # the token is in it
        )
        if reply.failure in PROXY_WORDS:
            # google-auth would not say who is to blame.
            raise TokenUnavailable(self._answers.outcome(reply.failure))
        if reply.status is None:
            raise error(reply.failure)
        return _Response(reply.status, reply.body)


class _Response:
    """``google.auth.transport.Response``."""

    def __init__(self, status: int, data: bytes) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {}
        self.data = data


def _info(credentials: str | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(credentials, Mapping):
        return credentials
    try:
        info = json.loads(Path(credentials).read_text("utf-8"))
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"credentials cannot be read ({type(error).__name__})") from None
    if not isinstance(info, dict):
        raise ValueError("credentials are not the key of a service account")
    return info
