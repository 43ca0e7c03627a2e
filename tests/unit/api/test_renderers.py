"""Answers are rendered in slices, and look as if they were not."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from django_pushjobs.api.renderers import ResourceRenderer


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"items": []},
        {"items": [None, 1, "é\u2028", {"a": [None, {}]}], "next": None, 'a"b': {"c": [1]}},
        {"a": None, "b": False, "c": 0, "d": "", "e": [[]], "f": {}},
        {"at": datetime(2030, 1, 1, tzinfo=UTC), "id": [UUID(int=1)]},
        [1, None],
        "text",
    ],
)
def test_it_is_compact_json(data: Any) -> None:
    rendered = ResourceRenderer().render(data)
    expected = json.dumps(data, separators=(",", ":"), ensure_ascii=False, default=_plain)
    assert rendered.decode() == expected.replace("\u2028", "\\u2028")


def test_no_content_has_none() -> None:
    assert ResourceRenderer().render(None) == b""


def _plain(value: Any) -> str:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)
