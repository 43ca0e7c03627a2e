"""One attempt over HTTP: signed, to an address that was checked, and bounded in time and size."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from django.views.decorators.debug import sensitive_variables

from ..db import clock
from ..exceptions import DestinationRefused
from ..models import CallbackAttempt, CallbackEvent
from ..transport import destinations
from ..transport.exchanges import exchange
from ..transport.lookups import Lookup
from ..transport.origins import Origins
from ..transport.requests import USER_AGENT, http_request
from . import signing, verification
from .results import AttemptResult

#: Seconds for one attempt, from resolving the host to the last byte that is read.
TIMEOUT: Final = 15.0
#: Seconds to connect to one address.
CONNECT_TIMEOUT: Final = 5.0
#: Bytes of a response body that are read.
MAX_READ: Final = 4_096
#: The most origins that one courier keeps connections to.
MAX_ORIGINS: Final = 100

#: Error codes of an attempt that differ from the words of :mod:`~..transport.failures`.
_ERROR_CODES: Final = {"connect_timeout": "timeout"}

_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Courier:
    """Posts events to the URLs of an endpoint, over connections that live as long as it does.

    Redirects are not followed, and proxies named by the environment are not used. The host is
    resolved and checked at every connect, and its certificate is verified.

    :param secrets: the secrets to sign with, the newest first.
    :param size: how many posts may be in flight at the same time.
    :param lookup: see :func:`~django_pushjobs.transport.destinations.resolve`.
    :param ca_file: PEM file with the authorities to trust instead of the system's.
    """

    @sensitive_variables("secrets")
    def __init__(
        self,
        secrets: list[str],
        *,
        size: int,
        lookup: Lookup | None = None,
        ca_file: str | None = None,
    ) -> None:
        self._secrets = secrets
        self._origins = Origins(
            size=MAX_ORIGINS,
            connections=size,
            connect_timeout=CONNECT_TIMEOUT,
            ca_file=ca_file,
            lookup=lookup,
        )

    def post(self, event: CallbackEvent, url: str) -> AttemptResult:
        """Make one attempt at ``event``. Failures are results as well, not exceptions."""
        started_at, began = clock.now(), time.monotonic()
        found: dict[str, Any]
        try:
            found = self._post(event, url, int(started_at.timestamp()))
        except DestinationRefused as refused:
            found = {"error_code": refused.code}
        return AttemptResult(
            event=event,
            started_at=started_at,
            latency=round((time.monotonic() - began) * 1_000),
            **found,
        )

    def close(self) -> None:
        self._origins.close()

    def _post(self, event: CallbackEvent, url: str, timestamp: int) -> dict[str, Any]:
        body = body_of(event)
        signed = signing.headers(
            self._secrets, message_id=str(event.pk), timestamp=timestamp, body=body
        )
        scheme, parts = destinations.parse(url).scheme, urlsplit(url)
        headers = {
            "User-Agent": USER_AGENT,
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
            **signed,
        }
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        reply = exchange(
            self._origins[f"{scheme}://{parts.netloc}"],
            http_request(path, parts.netloc, headers, body),
            timeout=TIMEOUT,
            max_response=MAX_READ,
            idempotent=True,
        )
        if reply.status is None:
            return {"error_code": _ERROR_CODES.get(reply.failure, reply.failure)}
        text = _text(reply.body)
        is_proof = not 200 <= reply.status < 300 or verification.is_met(event, text)
        return {
            "status_code": reply.status,
            "error_code": "" if is_proof else verification.UNPROVEN,
            "retry_after": reply.retry_after,
            "response": text,
        }


def body_of(event: CallbackEvent) -> bytes:
    """Return the body of ``event``; it is the same at every attempt."""
    at: datetime = event.created_at.astimezone(UTC)
    timestamp = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return _to_json({"type": event.type, "timestamp": timestamp, "data": event.data}).encode()


def _text(excerpt: bytes) -> str:
    # Not every database can store a NUL.
    text = excerpt.decode("utf-8", errors="replace").replace("\x00", "\ufffd")
    return text[: CallbackAttempt.MAX_RESPONSE]
