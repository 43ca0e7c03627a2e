"""``Idempotency-Key`` of a call, and the answer to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

from django.http import HttpResponse
from django.utils.http import http_date
from http_sf import StructuredFieldError, parse
from rest_framework.request import Request
from rest_framework.response import Response

from ..limits.admission import Admission
from ..models import ApiClient, PushRequest
from ..submission.idempotency import MAX_KEY, IdempotentCall, StoredAnswer, fingerprint
from ..submission.submissions import Submission
from . import parameters
from .renderers import ResourceRenderer

HEADER = "Idempotency-Key"
EXPIRES = "Idempotency-Expires"
REPLAYED = "Idempotent-Replayed"


def call_of(request: Request, client: ApiClient) -> IdempotentCall | None:
    """Return the call that may be repeated, or None if it has no key.

    :raises ValidationError: the key is malformed.
    """
    if HEADER not in request.headers:
        return None
    key = _key(request.headers[HEADER].strip())
    return IdempotentCall(
        client, key, fingerprint(request.method or "", request.path, request.data)
    )


def accept_once(
    call: IdempotentCall,
    submissions: Sequence[Submission],
    respond: Callable[[Sequence[PushRequest]], Response],
    admission: Admission | None,
) -> StoredAnswer:
    """Accept ``submissions`` if ``call`` is new, and return the answer that is stored."""
    return call.accept(submissions, lambda rows: _parts(respond(rows)), admission)


def amend(call: IdempotentCall, answer: StoredAnswer, response: Response) -> StoredAnswer:
    """Store ``response`` in place of ``answer``, and return it."""
    status, headers, body = _parts(response)
    better = replace(answer, status=status, headers=headers, body=body)
    call.amend(better)
    return better


def _parts(response: Response) -> tuple[int, dict[str, str], str]:
    headers = {n: v for n, v in response.headers.items() if n != "Content-Type"}
    return response.status_code, headers, ResourceRenderer().render(response.data).decode()


def response_to(answer: StoredAnswer) -> HttpResponse:
    """Return the answer with exactly the bytes that were stored."""
    headers = {**answer.headers, EXPIRES: http_date(answer.expires_at.timestamp())}
    if answer.replayed:
        headers[REPLAYED] = "true"
    return HttpResponse(
        answer.body, status=answer.status, headers=headers, content_type="application/json"
    )


def _key(value: str) -> str:
    """Read a string as in RFC 9651, or bare visible ASCII, which many clients send."""
    key: object = value
    if value.startswith('"'):
        try:
            key, _parameters = cast(
                tuple[object, object], parse(value.encode("latin-1"), tltype="item")
            )
        except (StructuredFieldError, UnicodeEncodeError):
            raise parameters.invalid(HEADER, "is not a string as in RFC 9651") from None
    if not isinstance(key, str) or not key.isascii() or not key.isprintable():
        raise parameters.invalid(HEADER, "must contain only visible ASCII characters")
    if not 0 < len(key) <= MAX_KEY:
        raise parameters.invalid(HEADER, f"must have 1 to {MAX_KEY} characters")
    return key
