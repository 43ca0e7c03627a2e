"""Bytes -> JSON, strictly: what two parsers could read in two ways is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from .problems import BodyTooLarge


class StrictJSONParser(BaseParser):
    """RFC 8259 in UTF-8, with I-JSON's rule (RFC 7493, section 2.3) that names are unique.

    NaN and Infinity are no JSON. The body may have ``DATA_UPLOAD_MAX_MEMORY_SIZE`` bytes, which
    Django itself does not enforce on a body that is read as a stream.
    """

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """
        :raises ParseError: it is not such JSON.
        :raises BodyTooLarge: it has too many bytes.
        """
        body = _read(stream, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        try:
            return json.loads(
                body.decode(), parse_constant=_no_constant, object_pairs_hook=_unique_names
            )
        except UnicodeDecodeError:
            raise ParseError("The body is not valid UTF-8.") from None
        except ValueError as error:
            raise ParseError(f"The body is not valid JSON: {error}.") from None
        except RecursionError:
            raise ParseError("The body is nested too deeply.") from None


def _read(stream: IO[bytes], limit: int | None) -> bytes:
    if limit is None:
        return stream.read()
    body = stream.read(limit + 1)
    if len(body) > limit:
        raise BodyTooLarge(f"The body has more than {limit} bytes.")
    return body


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"the name {name[:64]!r} stands twice in one object")
            seen.add(name)
    return members
