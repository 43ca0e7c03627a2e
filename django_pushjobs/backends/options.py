"""Checks of the ``OPTIONS`` that several backends have."""

from __future__ import annotations

from typing import Any


def require_positive(**options: Any) -> None:
    """Make sure that each of the options is a number above 0.

    :raises ValueError: one is not; the message names it.
    """
    for name, value in options.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
            raise ValueError(f"{name} must be a number above 0")


def missing_extra(name: str, error: ImportError) -> ValueError:
    """Return what to raise if a package of the extra ``name`` is not installed."""
    return ValueError(f"needs the extra django-pushjobs[{name}]: {error}")
