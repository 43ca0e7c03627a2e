"""Pages that stay the same while rows are added, and that never count rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from drf_spectacular.plumbing import is_jsonschema_compliant
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

from ..exceptions import SecretUnreadable
from ..models.encryption import decrypt, encrypt
from . import parameters


class StrictCursorPagination(CursorPagination):
    """Pages ordered by a UUID key. A cursor or a size that makes no sense is an error, not page
    one."""

    page_size: int
    max_page_size: int
    page_size_query_param: str = "page_size"

    def get_page_size(self, request: Request) -> int:
        given = request.query_params.get(self.page_size_query_param)
        if given is None:
            return self.page_size
        if not given.isdecimal() or not given.strip("0"):
            raise parameters.invalid(self.page_size_query_param, "must be a number above 0")
        # More digits than any limit has; int() has a limit of its own.
        return self.max_page_size if len(given) > 9 else min(int(given), self.max_page_size)

    def decode_cursor(self, request: Request) -> Cursor | None:
        try:
            cursor = super().decode_cursor(request)
            if cursor is not None and cursor.position is not None:
                position: Any = self.position_in(str(cursor.position))
                cursor = cursor._replace(position=position)
        except (NotFound, ValueError):
            raise parameters.invalid(
                self.cursor_query_param, "is not a cursor of this list"
            ) from None
        return cursor

    def position_in(self, text: str) -> str:
        """Return the key in a cursor.

        :raises ValueError: there is none.
        """
        return str(UUID(text))

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for parameter in parameters:
            if parameter["name"] == self.page_size_query_param:
                parameter["schema"]["minimum"] = 1
        return parameters

    def get_paginated_response_schema(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        link: dict[str, Any] = {"type": "string", "format": "uri", "nullable": True}
        if is_jsonschema_compliant():  # type: ignore[no-untyped-call]
            link = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {
                "next": {**link, "description": "The page after this one."},
                "previous": {**link, "description": "The page before this one."},
                "results": schema,
            },
        }


class PushRequestPagination(StrictCursorPagination):
    """Newest first: the key is ordered by time."""

    ordering = "-id"
    page_size = 50
    max_page_size = 200


class DeliveryPagination(StrictCursorPagination):
    """Its cursors are encrypted: the key of a delivery tells whether a guess at its address is
    right."""

    ordering = "id"
    page_size = 100
    max_page_size = 1_000

    def encode_cursor(self, cursor: Cursor) -> str:
        if cursor.position is not None:
            position: Any = encrypt(str(cursor.position))
            cursor = cursor._replace(position=position)
        return super().encode_cursor(cursor)

    def position_in(self, text: str) -> str:
        try:
            return super().position_in(decrypt(text))
        except SecretUnreadable:
            raise ValueError("not a cursor of ours") from None
