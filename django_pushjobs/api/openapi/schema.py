"""What drf-spectacular has to know about this API as a whole."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import (
    OpenApiAuthenticationExtension,
    OpenApiSerializerFieldExtension,
)
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import is_jsonschema_compliant
from drf_spectacular.utils import Direction, OpenApiParameter

from ..permissions import scope_for

#: Headers of every operation.
_HEADERS = [
    OpenApiParameter(
        "X-Request-ID",
        str,
        OpenApiParameter.HEADER,
        description=(
            "Your id for this call, to find it in the logs of both sides: up to 128 visible ASCII "
            "characters; anything else is replaced."
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
        description='RFC 6750; with `error="invalid_token"` if a key was sent.',
        response=[401, 403],
    ),
    OpenApiParameter(
        "RateLimit-Policy",
        str,
        OpenApiParameter.HEADER,
        description=(
            'The limits of this client, such as `"burst";q=100;w=60`; absent if it has none.'
        ),
        response=True,
    ),
    OpenApiParameter(
        "RateLimit",
        str,
        OpenApiParameter.HEADER,
        description=(
            'What is left of the limits that apply to this call, such as `"burst";r=50;t=30`.'
        ),
        response=True,
    ),
    OpenApiParameter(
        "Retry-After",
        int,
        OpenApiParameter.HEADER,
        description="Seconds to wait before the call is repeated; absent if waiting does not help.",
        response=[429, 503],
    ),
]
_ID = OpenApiParameter(
    "id", {"type": "string", "format": "uuid"}, OpenApiParameter.PATH, description="Its `id`."
)


class ApiSchema(AutoSchema):
    """What all operations share."""

    def get_override_parameters(self) -> list[Any]:
        of_path = [_ID] if "{id}" in self.path else []
        return [*of_path, *super().get_override_parameters(), *_HEADERS]

    def get_auth(self) -> list[dict[str, list[str]]]:
        """Return the scope that a key needs; OpenAPI 3.0 has no place for it."""
        has_place = is_jsonschema_compliant()  # type: ignore[no-untyped-call]
        scopes = [scope_for(self.view, self.method).value] if has_place else []
        auth: list[dict[str, list[str]]] = super().get_auth()
        return [dict.fromkeys(requirement, scopes) for requirement in auth]


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """A key, in either of two headers."""

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
    """Our fields know their schema themselves."""

    target_class = "django_pushjobs.api.fields.StrictField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        schema = dict(self.target.schema)
        if of := getattr(self.target, "of", None):
            schema["items"] = auto_schema.resolve_serializer(of, direction).ref
        return schema
