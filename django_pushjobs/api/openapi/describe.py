"""What describes an operation: its texts, its responses, its headers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers

from ..problems import MEDIA_TYPE
from .examples import EXCEEDED, INSUFFICIENT, INVALID
from .schema import ApiSchema

Method = TypeVar("Method", bound=Callable[..., Any])


def operation(
    operation_id: str,
    summary: str,
    description: str,
    responses: Mapping[Any, Any],
    *,
    tag: str,
    **more: Any,
) -> Callable[[Method], Method]:
    """Return the decorator that describes a method of a view.

    :param responses: see :func:`responses`.
    :param more: of drf-spectacular's ``extend_schema``; without ``request`` there is no body.
    """
    extend = extend_schema(
        operation_id=operation_id,
        summary=summary,
        description=description,
        responses=responses,
        tags=[tag],
        **{"request": None, **more},
    )

    def decorate(method: Method) -> Method:
        # By default it builds on DEFAULT_SCHEMA_CLASS, which is the project's.
        kwargs = {"schema": ApiSchema, **getattr(method, "kwargs", {})}
        setattr(method, "kwargs", kwargs)  # noqa: B010  (functions have no such attribute)
        return extend(method)

    return decorate


def responses(
    status: int,
    shape: Any,
    description: str,
    *problems: int,
    examples: Mapping[str, Any] | None = None,
) -> dict[Any, Any]:
    """Return the responses of an operation: the one of a success, and its problems.

    :param shape: serializer of the body, or None if there is none.
    :param problems: statuses, besides those that every operation may have.
    :param examples: title -> body.
    """
    shown = [
        OpenApiExample(title, value=body, response_only=True)
        for title, body in (examples or {}).items()
    ]
    return {
        status: OpenApiResponse(shape, description, examples=shown),
        **{
            (code, MEDIA_TYPE): OpenApiResponse(
                ProblemSerializer, _PROBLEMS[code], examples=_PROBLEM_EXAMPLES.get(code, [])
            )
            for code in sorted({401, 403, 429, 503, *problems})
        },
    }


def header(name: str, kind: Any, description: str, *statuses: int) -> OpenApiParameter:
    """Return a header of the responses with one of ``statuses``; without any, of the request."""
    return OpenApiParameter(
        name,
        kind,
        OpenApiParameter.HEADER,
        description=description,
        response=list(statuses) or False,
    )


def location(status: int) -> OpenApiParameter:
    return header("Location", {"type": "string", "format": "uri"}, "Where to look.", status)


def retry_after(*statuses: int) -> OpenApiParameter:
    text = "Seconds to wait before looking again; absent once it is done."
    return header("Retry-After", int, text, *statuses)


class ProblemErrorSerializer(serializers.Serializer[Any]):
    """One thing that is wrong."""

    pointer = serializers.CharField(
        required=False, help_text="JSON pointer (RFC 6901) into the body."
    )
    parameter = serializers.CharField(
        required=False, help_text="Name of the query parameter or header."
    )
    detail = serializers.CharField(help_text="A sentence for people.")
    code = serializers.CharField(help_text="A word for programs.")


class ProblemSerializer(serializers.Serializer[Any]):
    """What went wrong with a call (RFC 9457)."""

    type = serializers.CharField(help_text="URI of the type; `about:blank`: see the status.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    instance = serializers.CharField(required=False, help_text="Path of the call.")
    request_id = serializers.CharField(required=False, help_text="`X-Request-ID` of the call.")
    scope = serializers.CharField(required=False, help_text="403: the scope that the key lacks.")
    errors = ProblemErrorSerializer(  # type: ignore[assignment]
        many=True, required=False, help_text="What is wrong; at most 100 are listed."
    )

    def get_fields(self) -> dict[str, Any]:
        # The IETF's name is not a name in Python.
        policies = serializers.ListField(
            child=serializers.CharField(), required=False, help_text="429: the limits exceeded."
        )
        return {**super().get_fields(), "violated-policies": policies}


_PROBLEMS: Final = {
    400: "The body or a parameter is not acceptable; nothing was stored.",
    401: "No key was sent, or it is wrong, revoked, expired or for another network.",
    403: "The key lacks a scope.",
    404: "This client has no such thing.",
    409: "Its state does not allow this, or a call with this key is in progress.",
    413: "The body is too large.",
    415: "The body is not `application/json`.",
    422: "The `Idempotency-Key` belongs to another call.",
    429: "A limit of this client is exceeded; repeat after `Retry-After` seconds.",
    501: "This server offers no event streams.",
    503: "The database cannot be reached; repeat after `Retry-After` seconds.",
}
_PROBLEM_EXAMPLES: Final = {
    400: [OpenApiExample("Two errors", value=INVALID)],
    403: [OpenApiExample("A key that may only read", value=INSUFFICIENT)],
    429: [OpenApiExample("Too many calls", value=EXCEEDED)],
}
