"""A statement that is kept does what its queryset does."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_pushjobs.db.arrays import AnyOf
from django_pushjobs.db.statements import Place, Statement
from django_pushjobs.delivery import claims
from django_pushjobs.models import PushRequest
from django_pushjobs.states import Status

pytestmark = pytest.mark.django_db

IDS = Place(PushRequest, "id", "ids", many=True)


@pytest.fixture
def keys() -> list[UUID]:
    rows = [
        PushRequest(
            recipients=["token"], backend=alias, data={"ä": [1, None]}, status=Status.QUEUED,
            queued_at=timezone.now(),
        )
        for alias in ("one", "two", "three")
    ]  # fmt: skip
    PushRequest.objects.insert(rows)
    return [row.pk for row in rows]


def test_an_update_runs_again_with_other_values(keys: list[UUID]) -> None:
    statement = Statement.of_update(
        PushRequest.objects.among(IDS),
        {
            "title": Place(PushRequest, "title"),
            "result": Place(PushRequest, "result"),
            "enqueues": F("enqueues") + 1,
        },
    )
    with CaptureQueriesContext(connection) as queries:
        assert statement.run(using="default", ids=keys[:1], title="50 %", result={"a": 1}) == 1
        assert statement.run(using="default", ids=keys, title="all", result={"b": [2]}) == 3
        assert statement.run(using="default", ids=[uuid4()], title="none", result={}) == 0
    assert len(queries) == 3

    rows = PushRequest.objects.in_bulk(keys)
    assert [rows[key].enqueues for key in keys] == [2, 1, 1]
    assert all((row.title, row.result) == ("all", {"b": [2]}) for row in rows.values())


def test_a_transition_keeps_its_guard(keys: list[UUID]) -> None:
    now, ends = timezone.now(), timezone.now() + timedelta(seconds=60)
    statement = PushRequest.objects.among(IDS).transition_statement(
        Status.RUNNING,
        owner=Place(PushRequest, "owner"),
        lease_expires_at=Place(PushRequest, "lease_expires_at", "ends"),
    )
    PushRequest.objects.filter(pk=keys[0]).transition(Status.CANCELED)

    assert statement.run(using="default", now=now, ids=keys, owner="me:1", ends=ends) == 2
    assert statement.run(using="default", now=now, ids=keys, owner="you:1", ends=ends) == 0

    row = PushRequest.objects.get(pk=keys[1])
    assert (row.status, row.owner, row.updated_at) == (Status.RUNNING, "me:1", now)
    assert (row.lease_expires_at, row.finished_at, row.next_attempt_at) == (ends, None, None)


def test_a_select_gives_what_values_list_does(keys: list[UUID]) -> None:
    names = ("created_at", "pk", "data", "expires_at", "parent_id", "attempts")
    queryset = PushRequest.objects.order_by("id").values_list(*names)
    backends = Place(PushRequest, "backend", "backends", many=True)
    statement = Statement.of_select(queryset.filter(AnyOf(F("backend"), backends)))

    for chosen in (["one"], ["one", "three"], ["none"]):
        expected = list(queryset.filter(backend__in=chosen))
        found = list(statement.fetch(using="default", backends=chosen))
        assert [tuple(row) for row in found] == expected


@pytest.mark.parametrize("returns", [True, False], ids=["RETURNING", "SELECT"])
def test_a_claim_is_the_row_as_the_claim_left_it(
    returns: bool, keys: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not returns:
        # As on MySQL and MariaDB.
        monkeypatch.setattr(claims, "can_return", lambda using: False)
    claims._statements.cache_clear()
    PushRequest.objects.filter(pk=keys[0]).transition(Status.CANCELED)

    with CaptureQueriesContext(connection) as queries:
        none, *taken = claims.take(
            keys, owner="me:1", bulkhead=claims.Bulkhead(), held=(), using="default"
        )
    claims._statements.cache_clear()

    updates = [query["sql"] for query in queries if query["sql"].startswith("UPDATE")]
    assert ["RETURNING" in sql for sql in updates] == [claims.can_return("default")]
    assert none is None
    rows = PushRequest.objects.in_bulk(keys[1:])
    for key, claim in zip(keys[1:], taken, strict=True):
        assert claim is not None
        for name, value in claim.request._asdict().items():
            assert value == getattr(rows[key], name), name
        assert (claim.request.owner, claim.request.attempts) == ("me:1", 1)
