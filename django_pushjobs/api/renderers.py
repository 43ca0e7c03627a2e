"""JSON as it leaves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.views.decorators.debug import sensitive_variables
from rest_framework.renderers import JSONRenderer

from ..runtime.turns import in_turns


class ResourceRenderer(JSONRenderer):
    """JSON as RFC 8259 defines it, whatever the project's REST framework settings are."""

    charset = None
    compact = True
    ensure_ascii = False
    strict = True

    @sensitive_variables()
    def render(self, data: Any, *args: Any, **kwargs: Any) -> bytes:
        if not isinstance(data, dict):
            rendered: bytes = super().render(data, *args, **kwargs)
            return rendered
        # The lists of a whole are long: each of their items by itself.
        return _joined(b"{", map(self._member, data.items()), b"}")

    @sensitive_variables()
    def _member(self, member: tuple[str, Any]) -> bytes:
        name, value = member
        if isinstance(value, list):
            text = _joined(b"[", map(self._one, in_turns(value)), b"]")
        else:
            text = self._one(value)
        return self._one(name) + b":" + text

    @sensitive_variables()
    def _one(self, value: Any) -> bytes:
        # To REST framework, None is no content.
        return b"null" if value is None else super().render(value)


def _joined(start: bytes, parts: Iterable[bytes], end: bytes) -> bytes:
    return start + b",".join(parts) + end
