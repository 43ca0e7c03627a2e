"""Processes whose clocks disagree reckon with that of the database."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from django_pushjobs.db import clock

pytestmark = pytest.mark.django_db

AHEAD = timedelta(seconds=300)


class Ahead(datetime):
    """The clock of a machine on which it is five minutes later."""

    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + AHEAD


@pytest.fixture(autouse=True)
def _a_process_of_its_own(monkeypatch):
    monkeypatch.setattr(clock, "_offset", timedelta())
    monkeypatch.setattr(clock, "_look_at", 0.0)


def off() -> float:
    """Return by how many seconds we reckon with another time than this machine shows."""
    return (clock.now() - timezone.now()).total_seconds()


def test_clocks_that_agree_are_left_alone():
    clock.look("default")
    assert clock.now() - datetime.now(UTC) < timedelta(seconds=clock.SAME)
    assert off() == pytest.approx(0, abs=0.1)


@pytest.mark.many_writers
def test_a_clock_that_is_ahead_is_reckoned_with(monkeypatch, caplog):
    monkeypatch.setattr(clock, "datetime", Ahead)
    with caplog.at_level(logging.WARNING, logger="django_pushjobs"):
        clock.look("default")
    assert off() == pytest.approx(-AHEAD.total_seconds(), abs=2)
    assert "300 s ahead of that of the database" in caplog.text


@pytest.mark.many_writers
def test_it_is_not_asked_at_every_look(django_assert_num_queries):
    with django_assert_num_queries(1):
        clock.look("default")
        clock.look("default")


@pytest.mark.many_writers
def test_a_late_answer_does_not_count(monkeypatch):
    monkeypatch.setattr(clock, "datetime", Ahead)
    monkeypatch.setattr(clock, "QUICK", 0.0)
    clock.look("default")
    assert off() == pytest.approx(0, abs=0.1)
