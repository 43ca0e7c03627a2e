"""What all spellings of an address have in common, by the alias of its backend."""

from __future__ import annotations

from collections.abc import Callable

from ..exceptions import ConfigurationError
from .base import BasePushBackend
from .handler import backends


def canonical_of(alias: str) -> Callable[[str], str] | None:
    """Return the method ``canonical`` of a backend; None if each address has one spelling only, so
    that nobody has to call it."""
    try:
        backend = backends[alias]
    except ConfigurationError:
        # Whoever pushes will see this error; what is asked beside that must not.
        return None
    return None if type(backend).canonical is BasePushBackend.canonical else backend.canonical
