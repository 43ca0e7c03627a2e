"""What only the HTTP API refuses, each with its status."""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar

from rest_framework.exceptions import APIException

from ..exceptions import InvalidPushRequest


class BodyTooLarge(APIException):
    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_code = "too_long"


class InsufficientScope(APIException):
    """The key is valid, but lacks the scope for this call (RFC 6750, section 3.1)."""

    status_code = HTTPStatus.FORBIDDEN

    def __init__(self, scope: str) -> None:
        self.scope = str(scope)
        super().__init__(f"The API key lacks the scope {str(scope)!r}.")


class EndpointDisabled(APIException):
    """Nothing is sent to a callback endpoint that is disabled."""

    status_code = HTTPStatus.CONFLICT
    default_detail = "The endpoint is disabled: resume it first."


class TooManyCalls(APIException):
    """So many calls of this caller wait for their turn that no other one may."""

    status_code = HTTPStatus.TOO_MANY_REQUESTS


class NeedsGreenlets(APIException):
    """A stream would occupy a thread of this server for as long as it is open."""

    status_code = HTTPStatus.NOT_IMPLEMENTED
    default_detail = "This server uses a thread for each call, so it offers no event streams."


class InvalidItem(InvalidPushRequest):
    """An item of a batch cannot be accepted. It names a few errors: there are many items."""

    MAX_ERRORS: ClassVar[int] = 10
