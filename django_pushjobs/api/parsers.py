"""Bytes -> JSON, strictly: what two parsers might read differently is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from ..runtime.greenlets import cooperative
from ..runtime.turns import breathe
from . import lines
from .exceptions import BodyTooLarge
from .waiting import release_connections

#: Levels of objects and arrays in a body.
MAX_DEPTH = 64
#: Values in a body, and objects and arrays among them: it is parsed in one go, which no other call
#: of the process can interrupt.
MAX_VALUES = 100_000
MAX_CONTAINERS = 50_000

#: Bytes of a body that anybody may send before we know who it is. Above that, it takes a while to
#: receive and to parse.
SMALL = 65_536
#: The types of what a parser makes that holds other values.
_CONTAINERS = frozenset({dict, list})


class StrictJSONParser(BaseParser):
    """RFC 8259 in UTF-8, with I-JSON's rule (RFC 7493, section 2.3) that names are unique.

    NaN and Infinity are not JSON, and neither is a number accepted that a parser would turn into
    them: it has to fit a double (section 2.2), and a whole number 64 bits. The body may have
    ``DATA_UPLOAD_MAX_MEMORY_SIZE`` bytes, which Django itself does not enforce on a body that is
    read as a stream, :data:`MAX_VALUES` values and :data:`MAX_DEPTH` levels.
    """

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """
        :raises ParseError: the body is not such JSON.
        :raises BodyTooLarge: it has too many bytes.
        """
        request = (parser_context or {}).get("request")
        body = _read(stream, announced_length(request), settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        if _has_too_many_values(body):
            raise ParseError(
                f"The body has more than {MAX_VALUES} values, or more than {MAX_CONTAINERS} "
                "objects and arrays."
            )
        try:
            value = json.loads(
                body.decode(),
                parse_constant=_no_constant,
                parse_int=_small_int,
                parse_float=_finite_float,
                object_pairs_hook=_unique_names,
            )
        except UnicodeDecodeError:
            raise ParseError("The body is not valid UTF-8.") from None
        except ValueError as error:
            raise ParseError(f"The body is not valid JSON: {error}.") from None
        except RecursionError:
            raise _too_deep() from None
        # With so few opening brackets it cannot be deeper.
        if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):
            raise _too_deep()
        if len(body) > SMALL:
            breathe()
        return value


def _without_strings(body: bytes) -> bytes:
    """Return what stands outside of strings."""
    return b"".join(body.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')[::2])


def _has_too_many_values(body: bytes) -> bool:
    # Most bodies have so few commas that it does not matter where they stand; and of so many
    # quotation marks, some belong to strings that are too many.
    return _seem_too_many(body) and (
        body.count(b'"') > 4 * MAX_VALUES or _seem_too_many(_without_strings(body))
    )


def _seem_too_many(text: bytes) -> bool:
    return text.count(b",") >= MAX_VALUES or text.count(b"[") + text.count(b"{") > MAX_CONTAINERS


def _too_deep() -> ParseError:
    return ParseError(f"The body is nested deeper than {MAX_DEPTH} levels.")


def _is_deeper(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit + 1):
        level = [v for v in level if type(v) in _CONTAINERS]
        if not level:
            return False
        level = [item for v in level for item in (v.values() if type(v) is dict else v)]
    return True


def announced_length(request: Request | None) -> int:
    """Return the announced length; 0 if there is none, as with chunks."""
    announced = str(request.META.get("CONTENT_LENGTH", "")) if request is not None else ""
    return int(announced) if announced.isdecimal() else 0


def _read(stream: IO[bytes], announced: int, limit: int | None) -> bytes:
    if limit is not None and announced > limit:
        raise BodyTooLarge(f"The body has more than {limit} bytes.")
    if announced > SMALL and cooperative():
        # Whoever waits for the rest of a body must not keep a connection that others need.
        release_connections()
    with lines.aside():
        body = stream.read() if limit is None else stream.read(limit + 1)
    if limit is not None and len(body) > limit:
        raise BodyTooLarge(f"The body has more than {limit} bytes.")
    return body


def _small_int(digits: str) -> int:
    if len(digits) < 19:
        return int(digits)
    # Its length first: converting a million digits takes long.
    if len(digits) > 20 or not -(2**63) <= (number := int(digits)) < 2**64:
        raise ValueError(f"the number {digits[:24]} does not fit in 64 bits")
    return number


def _finite_float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"the number {digits[:24]} does not fit in a double")
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number in JSON")


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"the name {name[:64]!r} occurs twice in one object")
            seen.add(name)
    return members
