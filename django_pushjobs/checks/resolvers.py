"""Checks of ``RESOLVERS``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from django.core.checks import CheckMessage, Error

from ..recipients import BaseResolver, resolver
from .entries import malformed, not_a_class, sentence

#: The keys that an entry of RESOLVERS may have.
_KEYS: Final = frozenset({"RESOLVER", "OPTIONS"})
_HINT: Final = "See 'RESOLVERS' in docs/reference/settings.rst."


def wrong_resolvers(entries: Mapping[Any, Any]) -> Iterator[CheckMessage]:
    shapeless = dict(
        malformed("RESOLVERS", entries, "RESOLVER", _KEYS, check_id="django_pushjobs.E009")
    )
    yield from shapeless.values()
    for kind in (kind for kind in entries if kind not in shapeless):
        if problem := not_a_class(entries[kind]["RESOLVER"], BaseResolver):
            message = f"PUSHJOBS['RESOLVERS'][{kind!r}]: {problem}."
            yield Error(message, hint=_HINT, id="django_pushjobs.E010")
            continue
        try:
            resolver(kind)
        except Exception as error:
            message = sentence(f"recipient resolver {kind!r}", error)
            yield Error(message, hint=_HINT, id="django_pushjobs.E010")
