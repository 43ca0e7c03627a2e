"""Checks of the keys of ``PUSHJOBS``, and of the type and the range of their values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from types import NoneType
from typing import Any, Final, get_args, get_origin, get_type_hints

from django.core.checks import CheckMessage, Error

from ..conf import Conf

#: The range of a number, if it is not that of :data:`LEAST` and :data:`MOST`.
RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "RESULT_TTL": (0, 31_536_000),
    "FAILURE_TTL": (0, 31_536_000),
    "POLL_INTERVAL": (0, 86_400),
    "RATE_LIMIT": (0, 1_000_000_000),
    "RATE_WINDOW": (1, 86_400),
    "DAILY_QUOTA": (0, 1_000_000_000),
    "MAX_UNFINISHED": (0, 10_000_000),
    "TRUSTED_PROXIES": (0, 16),
    "MAX_WAIT": (0, 3_600),
    "MAX_CLIENT_CALLS": (0, 1_000),
    "MAX_LISTENERS": (0, 1_000_000),
    "MAX_CLIENT_LISTENERS": (0, 1_000_000),
    # Readers of the Idempotency-Key draft expect a day.
    "IDEMPOTENCY_TTL": (86_400, 31_536_000),
    "RETRY_FOR": (0, 31_536_000),
    "RETRY_BASE": (0, 86_400),
    "RETRY_CAP": (0, 31_536_000),
    # A lease is renewed a few times before it expires; a shorter one expires under load.
    "LEASE": (1, 86_400),
    "BULKHEAD": (0.01, 1),
    "RETENTION": (0, 315_360_000),
    "PART_SIZE": (1, 10_000),
    "FANOUT": (1, 1_000),
    "DEAD_WAVE_SHARE": (0.01, 1),
    "MAX_ATTEMPTS": (1, 1_000),
    "COMMIT_BATCH": (1, 10_000),
    "CALLBACK_CONCURRENCY": (1, 100),
    "CALLBACK_ROTATION": (0, 31_536_000),
    "CALLBACK_RETENTION": (3_600, 31_536_000),
}
LEAST: Final[Mapping[Any, float]] = {int: 1, float: 0.001}
MOST: Final = 31_536_000  # a year in seconds

#: What keys in Redis may begin with: also inside the braces of a hash tag, and in a pattern.
_PREFIX: Final = re.compile(r"[A-Za-z0-9_.:-]{0,64}")

_TYPE_NAMES: Final[Mapping[Any, str]] = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "a string",
    Mapping: "a dict",
}


def unknown_keys(given: Mapping[Any, Any]) -> Iterator[CheckMessage]:
    known = list(get_type_hints(Conf))
    for key in given:
        if key not in known:
            close = get_close_matches(str(key).upper(), known, n=1)
            yield Error(
                f"PUSHJOBS has the unknown key {key!r}.",
                hint=f"Did you mean {close[0]!r}?" if close else f"Keys are {', '.join(known)}.",
                id="django_pushjobs.E002",
            )


def wrong_values(given: Mapping[Any, Any]) -> Iterator[tuple[str, CheckMessage]]:
    """Yield the keys whose values have the wrong type or are out of range."""
    for key, annotation in get_type_hints(Conf).items():
        if key not in given:
            continue
        value, expected = given[key], _expected(annotation)
        if value is None and NoneType in get_args(annotation):
            continue
        hint = f"See {key!r} in docs/reference/settings.rst."
        # True is an int in Python, and 5 is as good a float as 5.0.
        fits = isinstance(value, int | float) if expected is float else isinstance(value, expected)
        if not fits or (isinstance(value, bool) and expected is not bool):
            wanted = _TYPE_NAMES.get(expected, str(expected))
            message = f"PUSHJOBS[{key!r}] must be {wanted}, not {type(value).__name__}."
            yield key, Error(message, hint=hint, id="django_pushjobs.E003")
        elif expected in LEAST:
            least, most = RANGES.get(key, (LEAST[expected], MOST))
            if not least <= value <= most:  # NaN is out of range, too
                message = f"PUSHJOBS[{key!r}] must be between {least} and {most}, not {value!r}."
                yield key, Error(message, hint=hint, id="django_pushjobs.E004")


def _expected(annotation: Any) -> Any:
    """Return the type of a setting, besides None, without its parameters."""
    if NoneType in (given := get_args(annotation)):
        (annotation,) = (kind for kind in given if kind is not NoneType)
    return get_origin(annotation) or annotation


def wrong_prefix(prefix: str) -> Iterator[CheckMessage]:
    if not _PREFIX.fullmatch(prefix):
        yield Error(
            f"PUSHJOBS['REDIS_PREFIX'] cannot be {prefix!r}.",
            hint="It has at most 64 characters: letters, digits and _ . : -",
            id="django_pushjobs.E022",
        )


def wrong_rule(rule: str) -> Iterator[CheckMessage]:
    if rule not in ("open", "closed"):
        yield Error(
            f"PUSHJOBS['LIMITS_WITHOUT_REDIS'] cannot be {rule!r}.",
            hint="Without Redis, 'open' admits all calls, and 'closed' none.",
            id="django_pushjobs.E023",
        )


def wrong_waits(base: float, cap: float) -> Iterator[CheckMessage]:
    if cap < base:
        yield Error(
            "PUSHJOBS['RETRY_CAP'] is less than PUSHJOBS['RETRY_BASE'].",
            hint="The waits between attempts grow from RETRY_BASE to RETRY_CAP.",
            id="django_pushjobs.E016",
        )
