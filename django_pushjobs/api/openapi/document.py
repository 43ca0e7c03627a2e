"""The OpenAPI description: what the views' code does not say by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from threading import Lock
from typing import Any, TypeVar

from django.utils.translation import override
from drf_spectacular.extensions import (
    OpenApiAuthenticationExtension,
    OpenApiSerializerFieldExtension,
)
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import is_jsonschema_compliant
from drf_spectacular.settings import SPECTACULAR_DEFAULTS, patched_settings
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_serializer,
)
from rest_framework import serializers

from ... import __version__
from ..permissions import scope_for
from ..problems import MEDIA_TYPE
from ..serializers import (
    BatchSerializer,
    DeliverySerializer,
    NewPushRequestSerializer,
    PushRequestSerializer,
    ReceiptsQuerySerializer,
)
from .examples import (
    BATCH_ANSWER,
    DONE,
    EVENT,
    EXCEEDED,
    INSUFFICIENT,
    INVALID,
    NEW,
    NEW_BATCH,
    QUEUED,
)

#: That of server-sent events.
EVENT_STREAM = "text/event-stream"

DESCRIPTION = """
Hand over a push message, get an answer at once, and look later what became of it.

1. `POST push-requests` answers **202 Accepted** with a `Location`: the request is stored and will
   not be lost.
2. `GET` that location, after as many seconds as `Retry-After` says, until `done` is true.
3. Read the receipt of every address under `deliveries`.

Calls need a key: `Authorization: Bearer <key>` or `X-API-Key: <key>`. Each client sees its own
push requests only. Bodies are JSON in UTF-8; members and parameters that are not listed here are
refused. Every error is a problem of [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457).
"""

_TAG = "Push requests"

_HEADERS = [
    OpenApiParameter(
        "X-Request-ID",
        str,
        OpenApiParameter.HEADER,
        description=(
            "Your id of this call, to find it in the logs of both sides: up to 128 visible ASCII "
            "characters; any other is replaced."
        ),
    ),
    OpenApiParameter(
        "traceparent",
        str,
        OpenApiParameter.HEADER,
        description="W3C Trace Context; continued by the worker that pushes.",
    ),
    OpenApiParameter(
        "X-Request-ID",
        str,
        OpenApiParameter.HEADER,
        description="The id of this call: yours, or a new one.",
        response=True,
    ),
    OpenApiParameter(
        "WWW-Authenticate",
        str,
        OpenApiParameter.HEADER,
        description='RFC 6750; `error="invalid_token"` where a key came.',
        response=[401, 403],
    ),
    OpenApiParameter(
        "RateLimit-Policy",
        str,
        OpenApiParameter.HEADER,
        description='The limits of this client, such as `"burst";q=100;w=60`; absent without any.',
        response=True,
    ),
    OpenApiParameter(
        "RateLimit",
        str,
        OpenApiParameter.HEADER,
        description='How those that this call has asked stand, such as `"burst";r=50;t=30`.',
        response=True,
    ),
    OpenApiParameter(
        "Retry-After",
        int,
        OpenApiParameter.HEADER,
        description="Seconds to wait; absent where waiting does not help.",
        response=[429],
    ),
]


class ApiSchema(AutoSchema):
    """What all operations share."""

    def get_override_parameters(self) -> list[Any]:
        return [*super().get_override_parameters(), *_HEADERS]

    def get_tags(self) -> list[str]:
        return [_TAG]

    def get_auth(self) -> list[dict[str, list[str]]]:
        """The scope that a key needs; OpenAPI 3.0 has no place for it."""
        has_place = is_jsonschema_compliant()  # type: ignore[no-untyped-call]
        scopes = [scope_for(self.view, self.method).value] if has_place else []
        auth: list[dict[str, list[str]]] = super().get_auth()
        return [dict.fromkeys(requirement, scopes) for requirement in auth]


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "django_pushjobs.api.authentication.ApiKeyAuthentication"
    match_subclasses = True
    name = ["bearer", "apiKey"]  # noqa: RUF012  (as declared upstream)

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, Any]]:
        return [
            {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer <key>`"},
            {
                "type": "apiKey",
                "in": "header",
                "name": "X-API-Key",
                "description": "`X-API-Key: <key>`",
            },
        ]

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:
        return [{name: []} for name in self.name]


class StrictFieldSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = "django_pushjobs.api.fields.StrictField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:
        return dict(self.target.schema)


# --- Shapes that no code needs but this description. ------------------------------------------


class ProblemErrorSerializer(serializers.Serializer[Any]):
    """One thing that is wrong."""

    pointer = serializers.CharField(
        required=False, help_text="JSON pointer (RFC 6901) into the body."
    )
    parameter = serializers.CharField(required=False, help_text="Name of the query parameter.")
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
    scope = serializers.CharField(required=False, help_text="403: what the key is not good for.")
    errors = ProblemErrorSerializer(  # type: ignore[assignment]
        many=True, required=False, help_text="What is wrong; at most 100 are listed."
    )

    def get_fields(self) -> dict[str, Any]:
        # Names of the IETF's are no names of Python's.
        policies = serializers.ListField(
            child=serializers.CharField(), required=False, help_text="429: the limits exceeded."
        )
        return {**super().get_fields(), "violated-policies": policies}


@extend_schema_serializer(component_name="BatchTicket")
class BatchTicketSerializer(serializers.Serializer[Any]):
    """Either a push request or a problem, with the status that the item alone would have had."""

    status = serializers.IntegerField(help_text="202 or 400; 204 for 202 if it was only checked.")
    push_request = PushRequestSerializer(required=False)
    problem = ProblemSerializer(required=False)


@extend_schema_serializer(component_name="BatchAnswer")
class BatchAnswerSerializer(serializers.Serializer[Any]):
    items = BatchTicketSerializer(many=True, help_text="One ticket an item, in order.")


@extend_schema_serializer(component_name="ReceiptsTicket")
class ReceiptsTicketSerializer(serializers.Serializer[Any]):
    """A push request and its receipts, or a problem where there is no such push request."""

    id = serializers.UUIDField(help_text="As you asked.")
    status = serializers.IntegerField(help_text="200 or 404.")
    push_request = PushRequestSerializer(required=False)
    deliveries = DeliverySerializer(
        many=True,
        required=False,
        allow_null=True,
        help_text="Null where there are more than 10 addresses: read them in pages.",
    )
    problem = ProblemSerializer(required=False)


@extend_schema_serializer(component_name="ReceiptsAnswer")
class ReceiptsAnswerSerializer(serializers.Serializer[Any]):
    items = ReceiptsTicketSerializer(many=True, help_text="One ticket an id, in order.")


_NEW_EXAMPLE = OpenApiExample("To two devices", value=NEW, request_only=True)

_PROBLEMS = {
    400: "The body or a parameter is not acceptable; nothing was stored.",
    401: "There is no key, or it is wrong, revoked or expired, or of another network.",
    403: "The key lacks a scope.",
    404: "There is no such push request of this client.",
    409: "Its state does not allow this, or a call with this key is in progress.",
    413: "The body is too large.",
    415: "The body is not `application/json`.",
    422: "The `Idempotency-Key` belongs to another call.",
    429: "A limit of this client is exceeded; repeat after `Retry-After` seconds.",
    501: "This server has no event streams.",
    503: "The database cannot be reached; repeat after `Retry-After` seconds.",
}


_PROBLEM_EXAMPLES = {
    400: [OpenApiExample("Two errors", value=INVALID)],
    403: [OpenApiExample("A key to read", value=INSUFFICIENT)],
    429: [OpenApiExample("Too many calls", value=EXCEEDED)],
}


def _answers(status: int, shape: Any, description: str, *problems: int, **kwargs: Any) -> Any:
    """The answer of an operation that went well, and its problems."""
    return {
        status: OpenApiResponse(shape, description, **kwargs),
        **{
            (code, MEDIA_TYPE): OpenApiResponse(
                ProblemSerializer, _PROBLEMS[code], examples=_PROBLEM_EXAMPLES.get(code, [])
            )
            for code in sorted({401, 403, 429, 503, *problems})
        },
    }


def _stream(description: str, *problems: int) -> Any:
    """The answer of an operation that streams events, and its problems."""
    plain = _answers(200, None, description, 400, 501, *problems)
    del plain[200]
    return {(200, EVENT_STREAM): OpenApiResponse(str, description, examples=[_EVENT])} | plain


_EVENT = OpenApiExample("A move", value=EVENT, media_type=EVENT_STREAM, response_only=True)


def _header(name: str, kind: Any, description: str, *statuses: int) -> OpenApiParameter:
    return OpenApiParameter(
        name, kind, OpenApiParameter.HEADER, description=description, response=list(statuses)
    )


def _location(status: int) -> OpenApiParameter:
    return _header("Location", {"type": "string", "format": "uri"}, "Where to look.", status)


def _retry_after(*statuses: int) -> OpenApiParameter:
    return _header(
        "Retry-After",
        int,
        "Seconds to wait before the next call; absent once it is done.",
        *statuses,
    )


#: Of calls that may be repeated.
_IDEMPOTENT = [
    OpenApiParameter(
        "Idempotency-Key",
        {"type": "string", "minLength": 1, "maxLength": 257},
        OpenApiParameter.HEADER,
        description=(
            "Repeating the call with the same key answers it again and does nothing. Up to 255 "
            "visible ASCII characters, as a string of RFC 9651 (in quotes) or bare."
        ),
    ),
    _header("Idempotent-Replayed", str, "`true` where it was answered before.", 202),
    _header("Idempotency-Expires", str, "Until when the key is known; an HTTP date.", 202),
]
_IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match",
    str,
    OpenApiParameter.HEADER,
    description="The `ETag` that you have; 304 where nothing has moved.",
)
_PREFER = [
    OpenApiParameter(
        "Prefer",
        str,
        OpenApiParameter.HEADER,
        description=(
            "`respond-async, wait=5` (RFC 7240): wait up to so many seconds for the end. The "
            "server may cap it, or not wait at all; `Preference-Applied` tells."
        ),
    ),
    _header("Preference-Applied", str, "What was granted of `Prefer`.", 200, 202),
]
_LAST_EVENT_ID = OpenApiParameter(
    "Last-Event-ID",
    {"type": "string", "pattern": "^[0-9]{1,20}-[0-9]{1,20}$"},
    OpenApiParameter.HEADER,
    description="The last id that you saw: go on after it.",
)
_VALID = {204: OpenApiResponse(description="It is right; only `validate_only` was asked for.")}


def _resource(example: dict[str, Any]) -> dict[str, Any]:
    return {"examples": [OpenApiExample(example["status"], value=example, response_only=True)]}


ID = OpenApiParameter(
    "id", {"type": "string", "format": "uuid"}, OpenApiParameter.PATH, description="Its `id`."
)

_Method = TypeVar("_Method", bound=Callable[..., Any])


def _operation(**description: Any) -> Callable[[_Method], _Method]:
    """``extend_schema`` on top of our own schema class."""
    extend = extend_schema(**description)

    def describe(method: _Method) -> _Method:
        # Where nobody says otherwise it builds on DEFAULT_SCHEMA_CLASS, which is the project's.
        kwargs = {"schema": ApiSchema, **getattr(method, "kwargs", {})}
        setattr(method, "kwargs", kwargs)  # noqa: B010  (no attribute that functions have)
        return extend(method)

    return describe


# --- The operations, in the order of the docs page --------------------------------------------

submit = _operation(
    operation_id="submitPushRequest",
    summary="Submit a push request",
    description="Stores it and answers at once; it is pushed by a worker.",
    request=NewPushRequestSerializer,
    examples=[_NEW_EXAMPLE],
    responses=_answers(
        202, PushRequestSerializer, "Accepted.", 400, 409, 413, 415, 422, **_resource(QUEUED)
    )
    | {200: OpenApiResponse(PushRequestSerializer, "It is final: `Prefer: wait` was granted.")}
    | _VALID,
    parameters=[_location(202), _retry_after(202, 503), *_IDEMPOTENT, *_PREFER],
)
submit_batch = _operation(
    operation_id="submitBatch",
    summary="Submit many at once",
    description=(
        "Accepted item by item: one that is wrong does not sink the others. There is one ticket "
        "an item, in order; pointers start with `/items/<index>`. If no item can be accepted, "
        "the answer is 400."
    ),
    request=BatchSerializer,
    examples=[
        OpenApiExample(
            "Two items",
            value=NEW_BATCH,
            request_only=True,
        ),
        OpenApiExample(
            "One accepted, one not",
            value=BATCH_ANSWER,
            response_only=True,
            status_codes=["202"],
        ),
    ],
    responses=_answers(
        202, BatchAnswerSerializer, "At least one is accepted.", 400, 409, 413, 415, 422
    )
    | {200: OpenApiResponse(BatchAnswerSerializer, "What `validate_only` found.")},
    parameters=[_retry_after(202, 503), *_IDEMPOTENT],
)
receipts = _operation(
    operation_id="getReceipts",
    summary="See what became of many",
    description=(
        "Tells where up to 1,000 push requests stand, each with its receipts if it has at most 10 "
        "addresses. One ticket an id, in order."
    ),
    request=ReceiptsQuerySerializer,
    responses=_answers(200, ReceiptsAnswerSerializer, "A ticket an id.", 400, 413, 415),
    parameters=[_retry_after(503)],
)
retrieve = _operation(
    operation_id="getPushRequest",
    summary="See what became of one",
    description="Always 200: how the pushing went is in the body.",
    responses=_answers(200, PushRequestSerializer, "Its state.", 404, **_resource(DONE))
    | {304: OpenApiResponse(description="It is as your `ETag` has it.")},
    parameters=[
        ID,
        _IF_NONE_MATCH,
        *_PREFER,
        _header("ETag", str, "Changes with every move.", 200, 304),
        _retry_after(200, 503),
    ],
)
events = _operation(
    operation_id="followPushRequests",
    summary="Follow all that happens",
    description=(
        "Server-sent events (`text/event-stream`): a `status` event with each move of your push "
        "requests, from now on or from `Last-Event-ID` on. `gap` says that some were lost. The "
        "stream ends now and then; come back with the last id."
    ),
    responses=_stream("What happens, as it happens."),
    parameters=[_LAST_EVENT_ID, _retry_after(503)],
    filters=False,
)
events_of_one = _operation(
    operation_id="followPushRequest",
    summary="Follow one",
    description=(
        "Server-sent events of one push request: its state, then each move. The stream ends with "
        "the final state; who comes back after it gets a 204."
    ),
    responses=_stream("What happens to it.", 404)
    | {204: OpenApiResponse(description="It is done, and you have seen it.")},
    parameters=[ID, _LAST_EVENT_ID, _retry_after(503)],
    filters=False,
)
list_ = _operation(
    operation_id="listPushRequests",
    summary="List your push requests",
    description="Newest first, in pages. Follow `next`; do not build cursors.",
    responses=_answers(200, PushRequestSerializer(many=True), "A page.", 400),
    parameters=[_retry_after(503)],
)
cancel = _operation(
    operation_id="cancelPushRequest",
    summary="Cancel one",
    description=(
        "One that waits is canceled. One that runs makes no further attempt, and reports what is "
        "in flight truthfully: `cancel_requested_at` is set, and it may still succeed. Repeating "
        "is no error."
    ),
    request=None,
    responses=_answers(200, PushRequestSerializer, "Its state now.", 404, 409),
    parameters=[ID, _retry_after(200, 503)],
)
retry = _operation(
    operation_id="retryPushRequest",
    summary="Try one again",
    description="Pushes a failed or partial one again, to the addresses that were not accepted.",
    request=None,
    responses=_answers(202, PushRequestSerializer, "Accepted.", 404, 409),
    parameters=[ID, _location(202), _retry_after(202, 503)],
)
deliveries = _operation(
    operation_id="listDeliveries",
    summary="Read the receipts",
    description="One for every address that was tried, in pages.",
    responses=_answers(200, DeliverySerializer(many=True), "A page.", 400, 404),
    parameters=[ID, _retry_after(503)],
    filters=False,
)

# --- The document -----------------------------------------------------------------------------

#: As a reader meets them.
_ORDER = (
    *("create", "list", "batch", "receipts", "events"),
    *("retrieve", "deliveries", "cancel", "retry", "events_of_one"),
)


def _order(endpoint: tuple[str, str, str, Any]) -> tuple[int, int]:
    from . import callbacks

    path, _regex, method, callback = endpoint
    action = callback.actions[method.lower()]
    if "/push-requests" in path:
        return 0, _ORDER.index(action)
    return (2 if "/callbacks" in path else 1), callbacks.ORDER.index(action)


_DEFAULTS = {
    name: value
    for name, value in SPECTACULAR_DEFAULTS.items()
    if not name.startswith("SERVE_") and name != "DEFAULT_GENERATOR_CLASS"  # cannot be patched
}
_SETTINGS = _DEFAULTS | {
    "OAS_VERSION": "3.1.1",
    "TITLE": "Push requests",
    "DESCRIPTION": DESCRIPTION.strip(),
    "VERSION": __version__,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "SORT_OPERATIONS": _order,
    "SORT_OPERATION_PARAMETERS": False,
    "TAGS": [{"name": _TAG}, {"name": "Callbacks"}],
}

_lock = Lock()


@cache
def _document() -> dict[str, Any]:
    from ..urls import urlpatterns
    from .callbacks import WEBHOOKS

    # Our own settings, whatever the project's are; the patch is global, hence the lock.
    with _lock, override("en"), patched_settings(_SETTINGS):
        generator = SchemaGenerator(patterns=urlpatterns)  # type: ignore[no-untyped-call]
        document: dict[str, Any] = generator.get_schema(public=True)  # type: ignore[no-untyped-call]
    document["webhooks"] = WEBHOOKS
    # The same, at the URL that a push request may name.
    document["paths"]["/push-requests"]["post"]["callbacks"] = {
        name: {"{$request.body#/callback_url}": item}
        for name, item in WEBHOOKS.items()
        if name.startswith("push.request.")
    }
    # The generator asks nested serializers for no such thing.
    document["components"]["schemas"]["NewBatch"]["properties"]["items"]["minItems"] = 1
    for operation in _operations(document):
        _close(operation.get("requestBody"), document["components"]["schemas"])
    return document


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from methods.values()


def _close(node: Any, schemas: dict[str, Any]) -> None:
    """Say of every object in a body that it has no other members than those that are listed."""
    if isinstance(node, list):
        for item in node:
            _close(item, schemas)
    elif isinstance(node, dict):
        if "$ref" in node:
            _close(schemas[node["$ref"].rpartition("/")[2]], schemas)
        if node.get("type") == "object" and "properties" in node:
            node.setdefault("additionalProperties", False)
        for key, value in node.items():
            if key != "examples":
                _close(value, schemas)


def document(server: str) -> dict[str, Any]:
    """Return the OpenAPI document of the API that is mounted at the URL ``server``."""
    return _document() | {"servers": [{"url": server}]}
