"""Lua scripts in Redis: several steps as one, in a single round trip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from .queues import connection


def run(script: str, keys: Sequence[str], arguments: Sequence[str | int]) -> list[Any]:
    """Run ``script`` and return its list; with no keys there is nothing to do.

    It is named by its hash, and its text is sent only if Redis has never seen it.

    :raises broker.Unavailable: Redis does not answer; the script may have run.
    """
    if not keys:
        return []
    return cast(list[Any], connection().register_script(script)(keys=keys, args=arguments))
