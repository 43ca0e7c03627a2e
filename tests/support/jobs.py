"""Jobs that are not ours, as other people's projects have them."""

from __future__ import annotations

import time


def add(a: int, b: int) -> int:
    return a + b


def nothing() -> None:
    return None


def fail() -> None:
    raise ValueError("this job fails")


def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds
