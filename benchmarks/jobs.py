"""The two jobs that every peer runs: one that does nothing, and one that pushes.

A third one computes, to see what more processes bring.

Each notes when it starts and when it is done. ``index`` is the number of the job in its trial.
"""

from __future__ import annotations

from .marks import opened
from .posting import post, post_asyncio

MARKS = opened()
#: Squares that a job adds up which computes.
COMPUTED = 40_000


def noop(index: int) -> None:
    MARKS.start(index)
    MARKS.finish(index)


def push(index: int) -> None:
    MARKS.start(index)
    post(index)
    MARKS.finish(index)


def compute(index: int) -> None:
    """Compute for a millisecond or two: always the same, however long that takes."""
    MARKS.start(index)
    sum(number * number for number in range(COMPUTED))
    MARKS.finish(index)


async def async_noop(index: int) -> None:
    MARKS.start(index)
    MARKS.finish(index)


async def async_push(index: int) -> None:
    MARKS.start(index)
    await post_asyncio(index)
    MARKS.finish(index)
