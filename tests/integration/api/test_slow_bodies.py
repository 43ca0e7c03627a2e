"""A body may come as slowly as its sender likes; nobody else waits for that."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_pushjobs.api import parsers
from tests.support.third_party import PUSH_REQUESTS, ThirdParty

pytestmark = pytest.mark.django_db(transaction=True)


class Arriving(io.BytesIO):
    """A body that notes what has been asked of the database by the time when it is read."""

    def __init__(self, data: bytes, queries: CaptureQueriesContext, events: list[Any]) -> None:
        super().__init__(data)
        self._queries, self._events = queries, events

    def read(self, size: int | None = -1) -> bytes:
        self._events.append(len(self._queries))
        return super().read(size)


def post(acme: ThirdParty, body: Any, events: list[Any]) -> int:
    data = json.dumps(body).encode()
    with CaptureQueriesContext(connection) as queries:
        answer = acme.http.generic(
            "POST",
            PUSH_REQUESTS,
            headers={"Authorization": f"Bearer {acme.secret}"},
            **{
                "wsgi.input": Arriving(data, queries, events),
                "CONTENT_LENGTH": str(len(data)),
                "CONTENT_TYPE": "application/json",
            },
        )
    status: int = answer.status_code
    return status


def test_a_small_one_is_read_before_the_database_is_asked_for_anything() -> None:
    events = list[Any]()
    assert post(ThirdParty(), {"recipients": ["t"]}, events) == 202
    assert set(events) == {0}


def test_while_a_large_one_comes_no_connection_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    events = list[Any]()
    monkeypatch.setattr(parsers, "cooperative", lambda: True)
    monkeypatch.setattr(parsers, "release_connections", lambda: events.append("released"))
    assert post(ThirdParty(), {"recipients": ["t"], "body": "x" * 65_536}, events) == 202
    assert events[0] == "released"
