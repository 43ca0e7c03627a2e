"""With many rows that ended long ago, indexes answer what the relay and the writer ask."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import Q, QuerySet
from django.utils import timezone
from pytest_django import Settings

from django_pushjobs import relay
from django_pushjobs.models import PushRequest
from django_pushjobs.models.identifiers import time_ordered_uuid
from django_pushjobs.states import Status

pytestmark = pytest.mark.django_db

ROWS = 5_000


@pytest.fixture
def history() -> None:
    """Rows that have ended, and statistics as they would be."""
    now = timezone.now()
    PushRequest.objects.bulk_create(
        (
            PushRequest(
                id=time_ordered_uuid(), recipients=["a"], backend="locmem", finished_at=now,
                status=Status.SUCCEEDED,
            )
            for _ in range(ROWS)
        ),
        batch_size=2_000,
    )  # fmt: skip
    if connection.vendor == "postgresql":
        # SQLite never does so by itself.
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")


def reads_the_table(queryset: QuerySet[Any]) -> bool:
    """Whether the database would look at row after row of the table."""
    plan = queryset.explain()
    if connection.vendor == "sqlite":
        # "SCAN table" reads all of it; "SCAN table USING INDEX" all of a partial index.
        return re.search(r"SCAN \S+(?! USING)$", plan, re.MULTILINE) is not None
    return f"Seq Scan on {queryset.model._meta.db_table}" in plan


@pytest.mark.usefixtures("history")
def test_the_relay_asks_its_indexes(settings: Settings) -> None:
    settings.PUSHJOBS = settings.PUSHJOBS | {"RETENTION": 86_400.0}
    now = timezone.now()
    for queryset in relay.looks(now, queued_before=now):
        if queryset.model is PushRequest:
            assert not reads_the_table(queryset.values("pk")[:1]), queryset.explain()
    requests = PushRequest.objects.order_by()
    pages = (
        requests.due(now).order_by("next_attempt_at")[:1_000],
        requests.due(now).filter(backend="locmem").order_by("next_attempt_at")[:1_000],
        requests.queued_before(now - timedelta(seconds=5)).order_by("queued_at")[:200],
        requests.overdue(now)[:1_000],
    )
    for page in pages:
        assert not reads_the_table(page), page.explain()


@pytest.mark.usefixtures("history")
def test_the_writer_asks_the_primary_key() -> None:
    ids = list(PushRequest.objects.values_list("pk", flat=True)[:100])
    claimable = PushRequest.objects.among(ids).filter(status=Status.QUEUED)
    assert not reads_the_table(claimable)


@pytest.mark.usefixtures("history")
def test_a_reference_a_client_and_the_parts_of_a_request_are_found_by_indexes() -> None:
    key = time_ordered_uuid()
    for queryset in (
        PushRequest.objects.filter(reference="order-1"),
        PushRequest.objects.filter(reference="order-1", client=1),
        PushRequest.objects.filter(client=1)[:25],
        PushRequest.objects.filter(parent=key),
        PushRequest.objects.filter(Q(reference="order-1") | Q(pk=key)).order_by(),
    ):
        assert not reads_the_table(queryset), queryset.explain()
