"""The jobs that every peer runs: one that does nothing, one that pushes, and one that claims a row
of a database, pushes, and writes back what came of it.

A further one computes, to see what more processes bring.

Each but those with a database notes when it starts and when it is done. ``index`` is the number
of the job in its trial.
"""

from __future__ import annotations

from . import rows
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


def pipeline(index: int) -> None:
    from . import models

    with models.connected():
        row = models.Row.claim(index)
    if row is not None:
        post(row.pk)
        with models.connected():
            row.finish()


def bare_pipeline(index: int) -> None:
    if rows.claim(index):
        post(index)
        rows.finish(index)


async def async_noop(index: int) -> None:
    MARKS.start(index)
    MARKS.finish(index)


async def async_push(index: int) -> None:
    MARKS.start(index)
    await post_asyncio(index)
    MARKS.finish(index)


async def async_pipeline(index: int) -> None:
    from .models import Row

    if row := await Row.aclaim(index):
        await post_asyncio(row.pk)
        await row.afinish()


async def async_bare_pipeline(index: int) -> None:
    if await rows.async_claim(index):
        await post_asyncio(index)
        await rows.async_finish(index)
