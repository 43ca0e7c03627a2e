"""Query parameters and headers of a call that are wrong."""

from __future__ import annotations

from collections.abc import Container

from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request


def invalid(name: str, detail: str) -> ValidationError:
    """Return the error of one query parameter, or of one header."""
    return ValidationError({name: [ErrorDetail(detail, code="invalid")]})


def refuse_unknown(request: Request, known: Container[str] = ()) -> None:
    """Make sure that the call has no query parameter but those in ``known``.

    A typo must not do something else than what was meant.

    :raises ValidationError: it has; every one that is not known is named.
    """
    unknown = sorted(name for name in request.query_params if name not in known)
    if unknown:
        detail = ErrorDetail("is not a known parameter", code="unknown_parameter")
        raise ValidationError({name[:64]: [detail] for name in unknown})
