"""Pushes to an HTTP gateway: one POST of a JSON object per address."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from ..transport.connections import Connections
from ..transport.exchanges import exchange
from ..transport.requests import USER_AGENT
from .base import BasePushBackend, Message, Target
from .http_answers import NO_ANSWER, STATUSES
from .options import require_positive
from .outcomes import Outcome, storable_id

#: RFC 9110, section 5.6.2, and what a value may contain without ending its line.
_FIELD_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
#: W3C Trace Context, section 3.2.
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
#: Headers that depend on the message.
_OWN_HEADERS = frozenset(
    {
        "connection",
        "content-length",
        "content-type",
        "expect",
        "host",
        "idempotency-key",
        "traceparent",
        "transfer-encoding",
    }
)

_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class HTTPBackend(BasePushBackend):
    """Posts messages to ``url`` over connections that are kept alive.

    The body is ``{"id", "request_id", "to", "title", "body", "data", "options", "priority",
    "collapse_key", "expires_at"}``; ``id`` is the same at every attempt, and so is the header
    ``Idempotency-Key``. The gateway answers with any 2xx, and may return a JSON object with the
    ``id`` that it gave to the message. :mod:`.http_answers` says what its answers mean. Redirects
    are not followed, and certificates are always verified.

    :param url: http or https; secrets belong in ``headers``.
    :param headers: sent with every push.
    :param connect_timeout: seconds to connect to one address of the gateway.
    :param timeout: seconds for one push, from the wait for a connection to the last byte.
    :param connections: maximum number of connections per process; further pushes wait for one.
    :param max_payload: bytes that title, body and data may have as JSON.
    :param max_response: bytes of an answer that are read to find the ``id``.
    :param idempotent: the gateway ignores a message whose ``Idempotency-Key`` it has seen. Then a
        push whose kept-alive connection turns out to be closed is sent again at once and costs no
        attempt; otherwise ``on_unknown`` decides.
    :param ca_file: PEM file with the authorities to trust instead of the system's.
    :param proxy: URL of the proxy to go through, or ``"environment"``.
    :param answers: what answers mean if this gateway differs, see :class:`.answers.Answers`.
    :raises ValueError: an option is wrong.
    """

    provider_name = "the gateway"
    answer_rows = (*NO_ANSWER, *STATUSES)

    def __init__(
        self,
        *,
        alias: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        connect_timeout: float = 5.0,
        timeout: float = 15.0,
        connections: int = 1_000,
        max_payload: int | None = None,
        max_response: int = 65_536,
        idempotent: bool = False,
        ca_file: str | None = None,
        proxy: str | None = None,
        answers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(alias=alias, answers=answers)
        require_positive(
            connect_timeout=connect_timeout,
            timeout=timeout,
            connections=connections,
            max_response=max_response,
            max_payload=1 if max_payload is None else max_payload,
        )
        self.timeout: float = timeout
        self.max_payload = max_payload
        self.max_response = max_response
        self._idempotent = bool(idempotent)
        self._gateway = Connections(
            url,
            size=connections,
            connect_timeout=connect_timeout,
            ca_file=ca_file,
            proxy=proxy,
        )
        self._head = _head(self._gateway, headers or {})

    def push(self, message: Message, target: Target) -> Outcome:
        reply = exchange(
            self._gateway,
            self._request(message, target),
            timeout=self.timeout,
            max_response=self.max_response,
            idempotent=self._idempotent,
        )
        return self.answers.outcome(
            reply.answer, provider_id=_provider_id(reply.body), retry_after=reply.retry_after
        )

    def close(self) -> None:
        self._gateway.close()

    def _request(self, message: Message, target: Target) -> bytes:
        expires_at = message.expires_at
        delivery_id = str(target.delivery_id)
        body = _to_json(
            {
                "id": delivery_id,
                "request_id": str(message.request_id),
                "to": target.address,
                "title": message.title,
                "body": message.body,
                "data": message.data,
                "options": message.options,
                "priority": message.priority,
                "collapse_key": message.collapse_key or None,
                "expires_at": None if expires_at is None else expires_at.isoformat(),
            }
        ).encode()
        # It came from a third party: only a valid one may become a header.
        trace = message.traceparent
        trace_line = f"traceparent: {trace}\r\n" if _TRACEPARENT.fullmatch(trace) else ""
        head = (
            f'{self._head}Idempotency-Key: "{delivery_id}"\r\n{trace_line}'
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode("latin-1") + body


def _head(gateway: Connections, headers: Mapping[str, str]) -> str:
    """Return the request line and the headers that all pushes have in common.

    :raises ValueError: one of ``headers`` cannot be sent.
    """
    lines = {"user-agent": f"User-Agent: {USER_AGENT}"}
    for name, value in headers.items():
        if not _FIELD_NAME.fullmatch(name) or not _FIELD_VALUE.fullmatch(value):
            raise ValueError(f"header {name!r} has a name or a value that is not valid in HTTP")
        if name.lower() in _OWN_HEADERS:
            raise ValueError(f"header {name!r} is set by the backend itself")
        lines[name.lower()] = f"{name}: {value}"
    head = [
        f"POST {gateway.path} HTTP/1.1",
        f"Host: {gateway.authority}",
        "Content-Type: application/json",
        *lines.values(),
    ]
    return "\r\n".join(head) + "\r\n"


def _provider_id(body: bytes) -> str:
    """Return the ``id`` of the JSON object ``body``, or "" if there is none that can be stored."""
    try:
        value = json.loads(body)["id"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return storable_id(value)
