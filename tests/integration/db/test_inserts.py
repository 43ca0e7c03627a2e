"""Many rows at once are the rows that Django itself would have written."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from django_pushjobs.db.inserts import COPIED, INSERTED
from django_pushjobs.models import PushRequest
from django_pushjobs.states import Status

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC)


def rows(count: int) -> list[PushRequest]:
    return [
        PushRequest(
            recipients=[f"token-{number}", 'tab\there, "quotes", \\N and \\ too'],
            title="",
            body="one\ntwo\r\n\\.\n",
            data={"number": number, "text": "ä\u2028\\u0041"},
            backend="default",
            reference="" if number % 2 else "odd",
            expires_at=None if number % 3 else NOW,
            total=2,
            status=Status.QUEUED,
            queued_at=NOW,
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("count", [1, COPIED - 1, COPIED, COPIED + 1])
def test_what_is_read_is_what_was_given(count: int) -> None:
    given = rows(count)
    PushRequest.objects.insert(given)

    read = PushRequest.objects.in_bulk([row.pk for row in given])
    for row in given:
        stored = read[row.pk]
        for field in PushRequest._meta.concrete_fields:
            assert getattr(stored, field.attname) == getattr(row, field.attname), field.name
        assert not row._state.adding


def test_is_all_or_nothing() -> None:
    given = rows(COPIED + 1)
    given[-1].pk = given[0].pk
    with pytest.raises(IntegrityError):
        PushRequest.objects.insert(given)


def test_more_than_one_statement_may_hold() -> None:
    given = rows(INSERTED + 1)
    with CaptureQueriesContext(connection) as queries:
        PushRequest.objects.insert(given)

    assert PushRequest.objects.count() == INSERTED + 1
    assert len([q for q in queries if "pushjobs_pushrequest" in q["sql"]]) < 100


def test_among_is_the_in_of_keys() -> None:
    given = rows(3)
    PushRequest.objects.insert(given)
    asked = [given[0].pk, given[2].pk, uuid4()]

    assert set(PushRequest.objects.among(asked)) == {given[0], given[2]}
    assert set(PushRequest.objects.exclude(pk=given[0].pk).among(iter(asked))) == {given[2]}
    assert PushRequest.objects.among([]).count() == 0
    assert PushRequest.objects.among([given[1].pk]).update(title="found") == 1
