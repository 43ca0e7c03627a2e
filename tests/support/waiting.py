"""Waiting for facts, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(fact: Callable[[], T], *, timeout: float = 30.0, what: str = "") -> T:
    """Return what ``fact`` returns as soon as that is true.

    :raises AssertionError: it was not within ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while not (result := fact()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:.0f} s: {what or fact}")
        time.sleep(0.02)
    return result
