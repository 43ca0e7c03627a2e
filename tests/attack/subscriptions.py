"""Subscriptions of browsers that are not there."""

from __future__ import annotations

import itertools

from tests.support.push_service import Browser

_BROWSER = Browser("")
_NUMBERS = itertools.count()


def subscription(port: int, answer: str, host: str = "127.0.0.1") -> str:
    """Return a subscription, another one each time, whose push service gives that answer."""
    _BROWSER.path = f"/{answer}/{next(_NUMBERS)}"
    return _BROWSER.subscription(f"https://{host}:{port}")
