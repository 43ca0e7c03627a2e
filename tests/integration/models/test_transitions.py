"""The guarded UPDATE, and the constraints that mirror it."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from django_pushjobs.models import PushRequest
from django_pushjobs.states import ACTIVE, FINAL, TRANSITIONS, Status

pytestmark = pytest.mark.django_db


def row_in(state: Status, **fields: Any) -> PushRequest:
    now = timezone.now()
    needs: dict[str, Any] = {"recipients": ["token"], "backend": "locmem", "status": state}
    if state is Status.PENDING:
        needs["next_attempt_at"] = now
    elif state is Status.RUNNING:
        needs |= {"owner": "worker", "lease_expires_at": now}
    elif state in FINAL:
        needs["finished_at"] = now
    return PushRequest.objects.create(**needs | fields)


@pytest.mark.parametrize(("source", "target"), list(product(Status, Status)))
def test_only_the_moves_of_the_table_are_made(source: Status, target: Status) -> None:
    row = row_in(source)
    fields: dict[str, Any] = {}
    if target is Status.RUNNING:
        fields = {"owner": "me", "lease_expires_at": timezone.now()}
    elif target is Status.PENDING:
        fields = {"next_attempt_at": timezone.now()}
    moved = PushRequest.objects.filter(pk=row.pk).transition(target, **fields)
    row.refresh_from_db()
    assert moved == (target in TRANSITIONS[source])
    assert row.status == (target if moved else source)
    if moved:
        assert (row.finished_at is not None) == (target in FINAL)


def test_every_state_is_active_or_final() -> None:
    assert set(Status) == ACTIVE | FINAL
    assert not ACTIVE & FINAL
    assert set(TRANSITIONS) == set(Status)


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        (Status.QUEUED, {"status": "nonsense"}),
        (Status.PENDING, {"next_attempt_at": None}),
        (Status.RUNNING, {"owner": ""}),
        (Status.RUNNING, {"lease_expires_at": None}),
        (Status.QUEUED, {"owner": "somebody"}),
        (Status.SUCCEEDED, {"finished_at": None}),
        (Status.QUEUED, {"finished_at": timezone.now()}),
    ],
)
def test_the_table_refuses_what_cannot_be(status: Status, fields: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        row_in(status, **fields)


def test_who_is_due_queued_for_long_and_overdue() -> None:
    now = timezone.now()
    past, future = now - timedelta(minutes=1), now + timedelta(minutes=1)
    due = row_in(Status.PENDING, next_attempt_at=past)
    row_in(Status.PENDING, next_attempt_at=future)
    waiting = row_in(Status.QUEUED, queued_at=past)
    row_in(Status.QUEUED, queued_at=future)
    row_in(Status.RUNNING, lease_expires_at=past)
    row_in(Status.RUNNING, lease_expires_at=future, expires_at=past)
    overdue = row_in(Status.QUEUED, queued_at=future, expires_at=past)
    row_in(Status.FAILED, expires_at=past)
    objects = PushRequest.objects
    assert list(objects.due(now)) == [due]
    assert list(objects.queued_before(now)) == [waiting]
    assert list(objects.overdue(now)) == [overdue]
