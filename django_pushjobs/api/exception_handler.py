"""Which problem a third party gets for an error, and the response that carries it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, Final

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
    MAX_ERRORS,
    Invalid,
    InvalidCallbackEndpoint,
    InvalidDevice,
    InvalidPushRequest,
    InvalidTransition,
    LimitExceeded,
)
from ..models import CallbackEndpoint, CallbackEvent
from ..submission.idempotency import CallInProgress, KeyReused
from . import problems
from .exceptions import InsufficientScope, InvalidItem, TooManyCalls
from .problems import Problem, ProblemType

#: Seconds after which it is worth repeating a call that found no database, Redis or room.
UNAVAILABLE_RETRY_AFTER: Final = 5


def problem_for(error: Exception) -> Problem:
    """Return what a third party is told about ``error``; one that nobody expected is a 500."""
    entry = next(_PROBLEMS[kind] for kind in type(error).__mro__ if kind in _PROBLEMS)
    return entry if isinstance(entry, Problem) else entry(error)


def problem_handler(error: Exception, context: Mapping[str, Any]) -> Response:
    """REST framework's exception handler: return the response for ``error``.

    What is our own fault (5xx) is logged and announced as Django does with an exception that
    leaves a view, so that Sentry and ``ADMINS`` are notified.
    """
    problem = problem_for(error)
    view, request = context["view"], context["request"]
    members: dict[str, Any] = problem.as_dict() | {
        "instance": request.path,
        "request_id": view.trace.request_id,
    }
    response = Response(
        members,
        status=problem.status,
        headers=dict(problem.headers),
        content_type=problems.MEDIA_TYPE,
    )
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            got_request_exception.send(sender=type(view), request=request._request)
        # Whoever has more streams than he may have is refused as often as he asks: nobody is to
        # get a mail each time.
        is_ours = not isinstance(error, TooManyListeners)
        log_response(
            "%s: %s",
            response.reason_phrase,
            request.path,
            response=response,
            request=request._request,
            level=None if is_ours else "warning",
            exception=error if is_ours else None,
        )
    return response


# --- Problems that depend on the error --------------------------------------------------------


def _listing(
    type_: ProblemType,
    errors: Sequence[Mapping[str, str]],
    status: int = 400,
    most: int = MAX_ERRORS,
) -> Problem:
    """Return the problem that names the fields or parameters at fault, but not too many."""
    count = len(errors)
    if count == 1:
        detail = "One thing is wrong; see errors."
    elif count <= most:
        detail = f"{count} things are wrong; see errors."
    else:
        detail = f"More than {most} things are wrong; the first {most} are in errors."
    return Problem(status=status, type=type_, detail=detail, errors=errors[:most])


def _invalid(type_: ProblemType, error: Invalid) -> Problem:
    return _listing(type_, [e.as_dict() for e in error.errors[: MAX_ERRORS + 1]])


def _invalid_item(error: InvalidItem) -> Problem:
    errors = [e.as_dict() for e in error.errors]
    return _listing(problems.INVALID_PUSH_REQUEST, errors, most=InvalidItem.MAX_ERRORS)


def _invalid_callback_endpoint(error: InvalidCallbackEndpoint) -> Problem:
    # Nothing is wrong with the endpoint itself if the client only has too many already.
    too_many = {e.code for e in error.errors} == {"too_many"}
    errors = [e.as_dict() for e in error.errors[: MAX_ERRORS + 1]]
    return _listing(problems.INVALID_CALLBACK_ENDPOINT, errors, 409 if too_many else 400)


def _invalid_parameter(error: ValidationError) -> Problem:
    return _listing(problems.INVALID_PARAMETER, list(_parameters(error)))


def _parameters(error: ValidationError) -> Iterator[dict[str, str]]:
    """Yield the errors of parameters: nothing else raises REST framework's ValidationError."""
    details = error.detail
    if not isinstance(details, dict):
        details = {"": details}
    for name, of_one in details.items():
        for detail in of_one if isinstance(of_one, list) else [of_one]:
            code = getattr(detail, "code", None) or "invalid"
            yield {"parameter": str(name), "detail": str(detail), "code": code}


def _invalid_transition(error: InvalidTransition) -> Problem:
    detail = f"Cannot {error.action} a push request that is {error.status}."
    return Problem(status=409, type=problems.INVALID_STATE, detail=detail)


def _limit_exceeded(error: LimitExceeded) -> Problem:
    wait = error.retry_after
    return Problem(
        status=429,
        type=problems.QUOTA_EXCEEDED,
        detail=error.detail,
        members={"violated-policies": list(error.violated)},
        headers={} if wait is None else {"Retry-After": str(max(1, math.ceil(wait)))},
    )


def _insufficient_scope(error: InsufficientScope) -> Problem:
    challenge = f'Bearer error="insufficient_scope", scope="{error.scope}"'
    return Problem(
        status=403,
        type=problems.INSUFFICIENT_SCOPE,
        detail=str(error.detail),
        members={"scope": error.scope},
        headers={"WWW-Authenticate": challenge},
    )


def _not_authenticated(error: NotAuthenticated) -> Problem:
    return Problem(
        status=401,
        detail="An API key is needed: Authorization: Bearer <key>, or X-API-Key: <key>.",
        headers=_challenge(error),
    )


def _as_rest_framework_says(error: APIException) -> Problem:
    return Problem(status=error.status_code, detail=str(error.detail), headers=_challenge(error))


def _challenge(error: APIException) -> dict[str, str]:
    # REST framework's handle_exception() puts it there.
    challenge = getattr(error, "auth_header", None)
    return {"WWW-Authenticate": challenge} if challenge else {}


# --- The table --------------------------------------------------------------------------------

_SOON: Final = {"Retry-After": str(UNAVAILABLE_RETRY_AFTER)}
_NO_DATABASE: Final = Problem(
    status=503,
    detail="The service cannot store or read push requests at the moment.",
    headers=_SOON,
)
_UNREADABLE: Final = Problem(status=400, detail="The request could not be read.")

#: The problem of an error, or what makes it; the class that is closest to the error counts.
_PROBLEMS: Final[Mapping[type[BaseException], Problem | Callable[[Any], Problem]]] = {
    InvalidPushRequest: partial(_invalid, problems.INVALID_PUSH_REQUEST),
    InvalidItem: _invalid_item,
    InvalidDevice: partial(_invalid, problems.INVALID_DEVICE),
    InvalidCallbackEndpoint: _invalid_callback_endpoint,
    ValidationError: _invalid_parameter,
    InvalidTransition: _invalid_transition,
    LimitExceeded: _limit_exceeded,
    InsufficientScope: _insufficient_scope,
    NotAuthenticated: _not_authenticated,
    UnsupportedMediaType: Problem(status=415, detail="The body must be application/json."),
    APIException: _as_rest_framework_says,
    KeyReused: Problem(
        status=422,
        type=problems.IDEMPOTENCY_KEY_REUSED,
        detail="This Idempotency-Key belongs to another call: use a new one.",
    ),
    CallInProgress: Problem(
        status=409,
        type=problems.IDEMPOTENCY_IN_PROGRESS,
        detail="A call with this Idempotency-Key is in progress: repeat it in a moment.",
        headers={"Retry-After": "1"},
    ),
    TooManyCalls: Problem(
        status=429,
        type=problems.QUOTA_EXCEEDED,
        detail="Too many of your calls are waiting: make fewer at the same time.",
        members={"violated-policies": ["calls"]},
        headers={"Retry-After": "1"},
    ),
    TooManyListeners: Problem(
        status=503,
        type=problems.REDUCED_CAPACITY,
        detail="Too many event streams are open at the moment.",
        members={"violated-policies": []},
        headers=_SOON,
    ),
    Unavailable: Problem(
        status=503,
        detail="A part of the service does not answer at the moment.",
        headers=_SOON,
    ),
    OperationalError: _NO_DATABASE,
    InterfaceError: _NO_DATABASE,
    CallbackEndpoint.DoesNotExist: Problem(
        status=404, detail="There is no such callback endpoint."
    ),
    CallbackEvent.DoesNotExist: Problem(status=404, detail="There is no such callback."),
    ObjectDoesNotExist: Problem(status=404, detail="There is no such push request."),
    Http404: Problem(status=404, detail="There is nothing at this address."),
    PermissionDenied: Problem(status=403, detail="This is not allowed."),
    RequestDataTooBig: Problem(status=413, detail="The body is too large."),
    SuspiciousOperation: _UNREADABLE,
    UnreadablePostError: _UNREADABLE,
    Exception: Problem(status=500, detail="The service failed; the failure was reported."),
}
