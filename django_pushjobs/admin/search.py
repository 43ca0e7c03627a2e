"""The search box of the push requests: it finds only what an index finds at once."""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID

from django.db.models import Q

#: The beginning of a key without its hyphens. 8 digits span 65 seconds.
_PREFIX: Final = re.compile(r"[0-9a-f]{8,32}")


def search_condition(term: str) -> Q:
    """Return the condition for ``term``: a key, the beginning of one, or an exact reference."""
    condition = Q(reference=term)
    digits = term.lower().replace("-", "")
    if _PREFIX.fullmatch(digits):
        low, high = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
        condition |= Q(pk=low) if low == high else Q(pk__range=(low, high))
    return condition
