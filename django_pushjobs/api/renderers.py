"""JSON as it leaves."""

from __future__ import annotations

from typing import Any

from django.views.decorators.debug import sensitive_variables
from rest_framework.renderers import JSONRenderer


class ResourceRenderer(JSONRenderer):
    """JSON as RFC 8259 defines it, whatever the project's REST framework settings are."""

    charset = None
    compact = True
    ensure_ascii = False
    strict = True

    @sensitive_variables()
    def render(self, data: Any, *args: Any, **kwargs: Any) -> bytes:
        rendered: bytes = super().render(data, *args, **kwargs)
        return rendered
