"""Queries of many, over few connections."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from django.db import connection

from django_pushjobs.db import readers
from django_pushjobs.models import PushRequest
from django_pushjobs.runtime.processes import PerProcess

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One thread to read in, as in ``rqgeventworker``."""
    fresh = PerProcess(lambda: readers.ThreadPoolExecutor(1, "reader"))
    monkeypatch.setattr(readers, "cooperative", lambda: True)
    monkeypatch.setattr(readers, "_pool", fresh)
    yield
    fresh().submit(readers.connections.close_all).result()
    fresh().shutdown()


def session() -> object:
    """Use the connection of this thread, and return what it is on the side of the driver."""
    assert PushRequest.objects.count() == 0
    return connection.connection


def test_a_query_runs_in_a_thread_whose_connection_is_kept() -> None:
    assert readers.read(threading.get_ident) != threading.get_ident()
    first = readers.read(session)
    assert readers.read(session) is first


def test_a_connection_that_was_idle_for_long_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    first = readers.read(session)
    monkeypatch.setattr(readers, "IDLE", 0.0)
    assert readers.read(session) is not first


def test_a_connection_with_an_error_is_made_anew() -> None:
    first = readers.read(session)
    with pytest.raises(ZeroDivisionError):
        readers.read(lambda: 1 / 0)
    assert readers.read(session) is not first
