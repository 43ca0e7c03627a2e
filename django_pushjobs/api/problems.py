"""Every error of the API as a problem of RFC 9457."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from django.core.exceptions import (
    ObjectDoesNotExist,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.core.signals import got_request_exception
from django.db import InterfaceError, OperationalError
from django.http import Http404, UnreadablePostError
from django.utils.log import log_response
from rest_framework.exceptions import (
    APIException,
    NotAuthenticated,
    UnsupportedMediaType,
    ValidationError,
)
from rest_framework.response import Response

from ..broker import Unavailable
from ..events.listeners import TooManyListeners
from ..exceptions import (
    InvalidCallbackEndpoint,
    InvalidDevice,
    InvalidPushRequest,
    InvalidTransition,
    LimitExceeded,
)
from ..models import CallbackEndpoint, CallbackEvent
from ..submission.idempotency import CallInProgress, KeyReused

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

#: Problem types of our own. The others are ``about:blank``: their status says it all.
INVALID_PUSH_REQUEST = "urn:problem-type:pushjobs:invalid-push-request"
INVALID_DEVICE = "urn:problem-type:pushjobs:invalid-device"
INVALID_CALLBACK_ENDPOINT = "urn:problem-type:pushjobs:invalid-callback-endpoint"
INVALID_PARAMETER = "urn:problem-type:pushjobs:invalid-parameter"
IDEMPOTENCY_KEY_REUSED = "urn:problem-type:pushjobs:idempotency-key-reused"
IDEMPOTENCY_IN_PROGRESS = "urn:problem-type:pushjobs:idempotency-in-progress"
INVALID_STATE = "urn:problem-type:pushjobs:invalid-state"
INSUFFICIENT_SCOPE = "urn:problem-type:pushjobs:insufficient-scope"
#: That of the IETF draft "RateLimit header fields for HTTP" (-11), registered with IANA.
QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"
REDUCED_CAPACITY = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"

#: Errors that one problem lists; a body of a few megabytes can hold a million of them.
MAX_ERRORS = 100
#: Seconds after which a call that found no database is worth repeating.
UNAVAILABLE_RETRY_AFTER = 5


class BodyTooLarge(APIException):
    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_code = "too_long"


class InsufficientScope(APIException):
    """The key is valid, but not good for this (RFC 6750, section 3.1)."""

    status_code = HTTPStatus.FORBIDDEN

    def __init__(self, scope: str) -> None:
        self.scope = str(scope)
        super().__init__(f"The API key lacks the scope {str(scope)!r}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What went wrong with one call.

    :param errors: each with ``pointer`` (RFC 6901, into the body) or ``parameter`` (of the
        query), ``detail`` and ``code``.
    :param members: of this type of problem, besides those of RFC 9457.
    :param headers: go with the response.
    """

    status: int
    detail: str
    type: str = "about:blank"
    title: str = ""
    errors: Sequence[Mapping[str, str]] = ()
    members: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the members of RFC 9457, without ``instance``."""
        members: dict[str, Any] = {
            "type": self.type,
            "title": self.title or HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **self.members,
        }
        if self.errors:
            members["errors"] = [dict(error) for error in self.errors[:MAX_ERRORS]]
        return members


def problem_for(error: Exception) -> Problem:
    """Return what a third party is told of ``error``; one that nobody expected is a 500."""
    match error:
        case InvalidPushRequest():
            return Problem(
                status=400,
                type=INVALID_PUSH_REQUEST,
                title="Invalid push request",
                detail=_count(len(error.errors)),
                errors=[e.as_dict() for e in error.errors],
            )
        case InvalidCallbackEndpoint():
            # Nothing is wrong with it where there are only too many already.
            too_many = {e.code for e in error.errors} == {"too_many"}
            return Problem(
                status=409 if too_many else 400,
                type=INVALID_CALLBACK_ENDPOINT,
                title="Invalid callback endpoint",
                detail=_count(len(error.errors)),
                errors=[e.as_dict() for e in error.errors],
            )
        case InvalidDevice():
            return Problem(
                status=400,
                type=INVALID_DEVICE,
                title="Invalid device",
                detail=_count(len(error.errors)),
                errors=[e.as_dict() for e in error.errors],
            )
        case ValidationError():
            parameters = list(_parameters(error))
            return Problem(
                status=400,
                type=INVALID_PARAMETER,
                title="Invalid parameter",
                detail=_count(len(parameters)),
                errors=parameters,
            )
        case InvalidTransition():
            return Problem(
                status=409,
                type=INVALID_STATE,
                title="Not in this state",
                detail=f"Cannot {error.action} a push request that is {error.status}.",
            )
        case LimitExceeded():
            wait = error.retry_after
            return Problem(
                status=429,
                type=QUOTA_EXCEEDED,
                title="Quota exceeded",
                detail=error.detail,
                members={"violated-policies": list(error.violated)},
                headers={} if wait is None else {"Retry-After": str(max(1, math.ceil(wait)))},
            )
        case InsufficientScope():
            challenge = f'Bearer error="insufficient_scope", scope="{error.scope}"'
            return Problem(
                status=403,
                type=INSUFFICIENT_SCOPE,
                title="Insufficient scope",
                detail=str(error.detail),
                members={"scope": error.scope},
                headers={"WWW-Authenticate": challenge},
            )
        case KeyReused():
            return Problem(
                status=422,
                type=IDEMPOTENCY_KEY_REUSED,
                title="Idempotency-Key is already used",
                detail="This Idempotency-Key belongs to another call: use a new one.",
            )
        case CallInProgress():
            return Problem(
                status=409,
                type=IDEMPOTENCY_IN_PROGRESS,
                title="Still in progress",
                detail="A call with this Idempotency-Key is in progress: repeat it in a moment.",
                headers={"Retry-After": "1"},
            )
        case TooManyListeners():
            return Problem(
                status=503,
                type=REDUCED_CAPACITY,
                title="Temporary reduced capacity",
                detail="Too many event streams are open at the moment.",
                members={"violated-policies": []},
                headers={"Retry-After": str(UNAVAILABLE_RETRY_AFTER)},
            )
        case Unavailable():
            return Problem(
                status=503,
                detail="The service cannot follow what happens at the moment.",
                headers={"Retry-After": str(UNAVAILABLE_RETRY_AFTER)},
            )
        case OperationalError() | InterfaceError():
            return Problem(
                status=503,
                detail="The service cannot store or read push requests at the moment.",
                headers={"Retry-After": str(UNAVAILABLE_RETRY_AFTER)},
            )
        case CallbackEndpoint.DoesNotExist():
            return Problem(status=404, detail="There is no such callback endpoint.")
        case CallbackEvent.DoesNotExist():
            return Problem(status=404, detail="There is no such callback.")
        case ObjectDoesNotExist():
            return Problem(status=404, detail="There is no such push request.")
        case Http404():
            return Problem(status=404, detail="There is nothing at this address.")
        case PermissionDenied():
            return Problem(status=403, detail="This is not allowed.")
        case RequestDataTooBig():
            return Problem(status=413, detail="The body is too large.")
        case SuspiciousOperation() | UnreadablePostError():
            return Problem(status=400, detail="The request could not be read.")
        case NotAuthenticated():
            return Problem(
                status=401,
                detail="An API key is needed: Authorization: Bearer <key>, or X-API-Key: <key>.",
                headers=_challenge(error),
            )
        case UnsupportedMediaType():
            return Problem(status=415, detail="The body must be application/json.")
        case APIException():
            return Problem(
                status=error.status_code, detail=str(error.detail), headers=_challenge(error)
            )
        case _:
            return Problem(status=500, detail="The service failed; the failure was reported.")


def problem_handler(error: Exception, context: Mapping[str, Any]) -> Response:
    """REST framework's exception handler: the response for ``error``.

    What is our own fault (5xx) is logged and announced as Django does with an exception that
    leaves a view, so Sentry and ``ADMINS`` hear of it.
    """
    problem = problem_for(error)
    view, request = context["view"], context["request"]
    members: dict[str, Any] = problem.as_dict() | {
        "instance": request.path,
        "request_id": view.trace.request_id,
    }
    response = Response(
        members, status=problem.status, headers=dict(problem.headers), content_type=MEDIA_TYPE
    )
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            got_request_exception.send(sender=type(view), request=request._request)
        log_response(
            "%s: %s",
            response.reason_phrase,
            request.path,
            response=response,
            request=request._request,
            exception=error,
        )
    return response


def _challenge(error: APIException) -> dict[str, str]:
    # Put there by REST framework's handle_exception().
    challenge = getattr(error, "auth_header", None)
    return {"WWW-Authenticate": challenge} if challenge else {}


def _count(errors: int) -> str:
    if errors == 1:
        return "One thing is wrong; see errors."
    listed = f" the first {MAX_ERRORS} are in errors." if errors > MAX_ERRORS else " see errors."
    return f"{errors} things are wrong;{listed}"


def _parameters(error: ValidationError) -> Iterator[dict[str, str]]:
    """The errors of query parameters; nothing else raises REST framework's ValidationError here."""
    details = error.detail
    if not isinstance(details, dict):
        details = {"": details}
    for name, of_one in details.items():
        for detail in of_one if isinstance(of_one, list) else [of_one]:
            code = getattr(detail, "code", None) or "invalid"
            yield {"parameter": str(name), "detail": str(detail), "code": code}
