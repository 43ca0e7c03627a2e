"""Callbacks to this machine, and what receives them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from tests.support.callbacks import INSECURE, Clock
from tests.support.provider import Provider, provider


@pytest.fixture
def insecure_destinations(settings: Settings) -> None:
    settings.PUSHJOBS = INSECURE


@pytest.fixture
def receiver() -> Iterator[Provider]:
    with provider() as running:
        yield running


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)
