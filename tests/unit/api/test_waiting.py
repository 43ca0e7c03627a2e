"""Prefer (RFC 7240), as it is read."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from django_pushjobs.api.waiting import Preferences
from django_pushjobs.events import listeners


@pytest.fixture
def greenlets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "cooperative", lambda: True)


@pytest.mark.usefixtures("greenlets")
@pytest.mark.parametrize(
    ("header", "wait", "respond_async"),
    [
        ("", None, False),
        ("respond-async, wait=5", 5, True),
        ("wait=5", 5, False),
        ("WAIT = 5 ; strict", 5, False),
        ('wait="5"', 5, False),
        ("wait=5, wait=7", 5, False),
        ("wait=999999999999999999999", 30, False),
        ("wait=0", 0, False),
        ("wait", None, False),
        ("wait=-1", None, False),
        ("wait=1.5", None, False),
        ("wait=\u0665", None, False),
        ('foo="wait=5, respond-async"', None, False),
        ("return=minimal, , respond-async", None, True),
        ('foo="', None, False),
    ],
)
def test_reads_what_is_preferred(header: str, wait: int | None, respond_async: bool) -> None:
    assert Preferences.of({"Prefer": header}) == Preferences(wait, respond_async)


@pytest.mark.usefixtures("greenlets")
def test_waiting_can_be_off(settings: Settings) -> None:
    settings.PUSHJOBS = settings.PUSHJOBS | {"MAX_WAIT": 0}
    assert Preferences.of({"Prefer": "wait=5"}).wait is None


def test_nobody_waits_in_a_server_with_threads() -> None:
    assert Preferences.of({"Prefer": "wait=5"}).wait is None
