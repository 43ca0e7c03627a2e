"""JSON as it leaves."""

from __future__ import annotations

from rest_framework.renderers import JSONRenderer


class ResourceRenderer(JSONRenderer):
    """JSON as RFC 8259 defines it, whatever the project's REST framework settings are."""

    charset = None
    compact = True
    ensure_ascii = False
    strict = True
