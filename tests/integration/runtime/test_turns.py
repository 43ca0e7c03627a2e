"""Nobody gives way within a transaction."""

from __future__ import annotations

import pytest
from django.db import transaction

from django_pushjobs.runtime import turns


@pytest.mark.django_db(transaction=True)
def test_nobody_gives_way_with_locks_in_his_hands(monkeypatch: pytest.MonkeyPatch) -> None:
    given = list[str]()
    monkeypatch.setattr(turns, "cooperative", lambda: True)
    monkeypatch.setattr(turns, "STRETCH", 0.0)
    monkeypatch.setattr(turns, "give_way", lambda: given.append("turn"))
    with transaction.atomic():
        assert list(turns.in_turns("ab")) == ["a", "b"]
        assert not given
    assert list(turns.in_turns("ab")) == ["a", "b"]
    assert len(given) == 2
