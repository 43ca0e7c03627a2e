"""POST push-requests/batch: one ticket an item, and a bad item sinks no other."""

from __future__ import annotations

from typing import Any

import django_rq
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings
from rq.serializers import JSONSerializer

from django_pushjobs.models import PushRequest
from tests.support.third_party import ThirdParty, faults

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def acme() -> ThirdParty:
    return ThirdParty()


def item(reference: str) -> dict[str, Any]:
    return {"recipients": ["token"], "reference": reference}


def test_one_ticket_an_item_in_order(acme: ThirdParty) -> None:
    bad = {"recipients": [], "titel": "x"}
    response = acme.post("batch", {"items": [item("a"), bad, 7, item("b")]}, X_Request_ID="call")
    assert response.status_code == 202
    assert response.headers["Retry-After"] == "1"
    first, second, third, fourth = response.json()["items"]
    assert (first["status"], first["push_request"]["reference"]) == (202, "a")
    assert (fourth["status"], fourth["push_request"]["reference"]) == (202, "b")
    assert second["status"] == second["problem"]["status"] == 400
    assert [(e["pointer"], e["code"]) for e in second["problem"]["errors"]] == [
        ("/items/1/titel", "unknown_field"),
        ("/items/1/recipients", "empty"),
    ]
    assert third["problem"]["errors"][0]["pointer"] == "/items/2"
    rows = PushRequest.objects.order_by("reference")
    assert [str(row.pk) for row in rows] == [t["push_request"]["id"] for t in (first, fourth)]
    assert {row.request_id for row in rows} == {"call"}
    assert {row.client for row in rows} == {acme.client}
    assert len(django_rq.get_queue("pushjobs", serializer=JSONSerializer).jobs) == 2


def test_is_refused_where_no_item_can_be_accepted(acme: ThirdParty) -> None:
    assert faults(acme.post("batch", {"items": [{}, 5]})) == {
        ("/items/0/recipients", "required"),
        ("/items/1", "invalid_type"),
    }


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([], {("", "invalid_type")}),
        ({}, {("/items", "required")}),
        ({"items": []}, {("/items", "empty")}),
        ({"items": {}}, {("/items", "invalid_type")}),
        ({"items": None}, {("/items", "invalid_type")}),
        ({"items": [{}] * 4}, {("/items", "too_many")}),
        ({"items": [], "more": 1}, {("/more", "unknown_field"), ("/items", "empty")}),
    ],
)
def test_is_refused_where_it_is_no_batch(
    acme: ThirdParty, settings: Settings, body: Any, expected: set[tuple[str, str]]
) -> None:
    settings.PUSHJOBS = settings.PUSHJOBS | {"MAX_BATCH": 3}
    assert faults(acme.post("batch", body)) == expected


def test_costs_no_more_queries_than_one(acme: ThirdParty) -> None:
    with CaptureQueriesContext(connection) as queries:
        response = acme.post("batch", {"items": [item(str(n)) for n in range(20)]})
    assert response.status_code == 202
    kinds = [query["sql"].split()[0] for query in queries]
    write = "COPY" if connection.vendor == "postgresql" else "INSERT"
    assert [kind for kind in kinds if kind not in ("BEGIN", "COMMIT")] == ["SELECT", write]


def test_each_item_lists_a_few_errors(acme: ThirdParty) -> None:
    good, bad = {"recipients": ["t"]}, {"recipients": [""] * 500}
    tickets = acme.post("batch", body={"items": [good, bad]}).json()["items"]
    problem = tickets[1]["problem"]
    named = [error["pointer"] for error in problem["errors"]]
    assert named == [f"/items/1/recipients/{n}" for n in range(10)]
    assert problem["detail"] == "More than 10 things are wrong; the first 10 are in errors."
