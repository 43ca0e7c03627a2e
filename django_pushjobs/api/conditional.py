"""``ETag`` and ``If-None-Match``: a client that looks again gets 304 if nothing has changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from django.db.models import F, FilteredRelation, Q, QuerySet
from django.http import HttpResponseBase
from django.utils.cache import get_conditional_response
from rest_framework.request import Request

from ..models import ApiKey, PushRequest
from .authentication import ApiKeyAuthentication


def etag(updated_at: datetime, status: str) -> str:
    """Return the entity tag of a push request: every change of the row changes it."""
    return f'"{int(updated_at.timestamp() * 1_000_000):x}-{status}"'


def etag_of(row: PushRequest) -> str:
    return etag(row.updated_at, row.status)


class ConditionalAuthentication(ApiKeyAuthentication):
    """Reads what ``If-None-Match`` asks about together with the key: a 304 takes one query."""

    def keys(self, request: Request) -> QuerySet[ApiKey]:
        keys = super().keys(request)
        if request.method not in ("GET", "HEAD") or "If-None-Match" not in request.headers:
            return keys
        asked = Q(client__push_requests=request.parser_context["kwargs"].get("id"))
        return keys.annotate(
            asked=FilteredRelation("client__push_requests", condition=asked)
        ).annotate(asked_updated_at=F("asked__updated_at"), asked_status=F("asked__status"))


def known_etag(request: Request) -> str | None:
    """Return the entity tag that was read with the key, or None if there was none to read."""
    key = cast(Any, request.auth)
    updated_at: datetime | None = getattr(key, "asked_updated_at", None)
    return None if updated_at is None else etag(updated_at, key.asked_status)


def not_modified(request: Request, tag: str) -> HttpResponseBase | None:
    """Return the 304 for a caller that already has the representation ``tag``, or None."""
    if "If-None-Match" not in request.headers:
        return None
    response: HttpResponseBase | None = get_conditional_response(request._request, etag=tag)
    if response is not None:
        response.headers["ETag"] = tag
    return response
