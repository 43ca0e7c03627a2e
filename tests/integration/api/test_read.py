"""Reading: one, a list in pages, the receipts; and nothing of another client."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.urls import resolve
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rest_framework.serializers import Serializer

from django_pushjobs.api.serializers.push_requests import PushRequestSerializer
from django_pushjobs.models import Delivery, PushRequest
from django_pushjobs.models.identifiers import delivery_id
from django_pushjobs.states import DeliveryStatus, Status
from tests.support.third_party import ThirdParty, faults, problem

pytestmark = pytest.mark.django_db

NOW = timezone.now()
ENDS = {
    Status.SUCCEEDED: None,
    Status.PARTIAL: ("partial", "Not every address was accepted; see its deliveries."),
    Status.FAILED: ("failed", "No address was accepted; see its deliveries."),
    Status.CANCELED: ("canceled", "It was canceled."),
    Status.EXPIRED: ("expired", "It expired before it was pushed."),
}


@pytest.fixture
def acme() -> ThirdParty:
    return ThirdParty()


@pytest.fixture
def rival() -> ThirdParty:
    return ThirdParty("rival")


def row(owner: ThirdParty, status: Status = Status.QUEUED, **fields: Any) -> PushRequest:
    if status in ENDS:
        fields.setdefault("finished_at", NOW)
    if status == Status.RUNNING:
        fields |= {"owner": "worker", "lease_expires_at": NOW}
    fields.setdefault("recipients", ["token"])
    return PushRequest.objects.create(client=owner.client, status=status, backend="dummy", **fields)


def receipt(request: PushRequest, address: str, **fields: Any) -> Delivery:
    return Delivery.objects.create(
        id=delivery_id(request.pk, address),
        request=request,
        address=address,
        started_at=NOW,
        finished_at=NOW,
        **fields,
    )


def ids(rows: Sequence[PushRequest]) -> list[str]:
    return [str(row.pk) for row in rows]


def listed(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [item["id"] for item in response.json()["results"]]


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING])
def test_one_that_is_not_done_says_when_to_look_again(acme: ThirdParty, status: Status) -> None:
    # An error of an attempt that will be repeated is not yet an error.
    response = acme.get(str(row(acme, status, error_code="timeout").pk))
    assert (response.status_code, response.headers["Retry-After"]) == (200, "1")
    assert (response.json()["done"], response.json()["error"]) == (False, None)


@pytest.mark.parametrize("status", ENDS)
def test_one_that_is_done_says_why(acme: ThirdParty, status: Status) -> None:
    response = acme.get(str(row(acme, status).pk))
    assert "Retry-After" not in response.headers
    body = response.json()
    error = body["error"] and (body["error"]["code"], body["error"]["detail"])
    assert (body["done"], body["status"], error) == (True, status, ENDS[status])


def test_an_error_of_its_own_comes_first(acme: ThirdParty) -> None:
    failed = row(acme, Status.FAILED, error_code="http_400", error="The gateway refused it.")
    error = acme.get(str(failed.pk)).json()["error"]
    assert error == {"code": "http_400", "detail": "The gateway refused it."}


def test_the_message_is_not_repeated(acme: ThirdParty) -> None:
    secret = row(acme, title="secret", body="secret", data={"a": "secret"}, options={"b": "secret"})
    assert "secret" not in acme.get(str(secret.pk)).content.decode()


@pytest.mark.parametrize("path", ["{}", "{}/deliveries"])
def test_what_is_not_there_or_not_mine_is_not_found(
    acme: ThirdParty, rival: ThirdParty, path: str
) -> None:
    for pk in (row(rival).pk, uuid4()):
        response = acme.get(path.format(pk))
        assert response.status_code == 404
        assert problem(response)["detail"] == "There is no such push request."


@pytest.mark.parametrize(
    "path", ["none", "%00", "none/cancel", f"{UUID(int=1)}/", f"{UUID(int=1)}/none"]
)
def test_an_address_that_is_none_gets_a_problem(acme: ThirdParty, path: str) -> None:
    response = acme.get(path)
    assert response.status_code == 404
    assert problem(response)["detail"] == "There is nothing at this address."


def test_a_list_holds_my_own_newest_first(acme: ThirdParty, rival: ThirdParty) -> None:
    mine = [row(acme) for _ in range(3)]
    row(rival)
    row_of_nobody = PushRequest.objects.create(recipients=["t"], backend="dummy")
    assert listed(acme.get()) == ids(sorted(mine, key=lambda r: r.pk, reverse=True))
    assert acme.get(str(row_of_nobody.pk)).status_code == 404


def test_pages_hold_still_while_rows_arrive(acme: ThirdParty) -> None:
    old = sorted((row(acme) for _ in range(5)), key=lambda r: r.pk, reverse=True)
    first = acme.get(query={"page_size": 2})
    row(acme)
    second = acme.get(first.json()["next"])
    third = acme.get(second.json()["next"])
    assert listed(first) + listed(second) + listed(third) == ids(old)
    assert (first.json()["previous"], third.json()["next"]) == (None, None)
    assert listed(acme.get(second.json()["previous"])) == listed(first)


def test_a_page_has_a_largest_size(acme: ThirdParty) -> None:
    PushRequest.objects.bulk_create(
        PushRequest(client=acme.client, recipients=["t"], backend="dummy") for _ in range(201)
    )
    for size in ("1000", "9" * 5_000):
        assert len(listed(acme.get(query={"page_size": size}))) == 200
    assert len(listed(acme.get())) == 50


def test_filters(acme: ThirdParty) -> None:
    failed = row(acme, Status.FAILED, reference="a", created_at=NOW - timedelta(days=2))
    queued = row(acme, Status.QUEUED, reference="b", created_at=NOW - timedelta(days=1))
    done = row(acme, Status.SUCCEEDED, reference="b", created_at=NOW)

    def found(**query: Any) -> set[str]:
        return set(listed(acme.get(query=query)))

    assert found(status="failed") == {*ids([failed])}
    assert found(status=["failed", "queued"]) == {*ids([failed, queued])}
    assert found(reference="b", status="succeeded") == {*ids([done])}
    assert found(backend="gateway") == set()
    since = (NOW - timedelta(days=1)).isoformat()
    assert found(created_after=since) == {*ids([queued, done])}
    assert found(created_before=since) == {*ids([failed])}


@pytest.mark.parametrize(
    ("parameter", "value", "code"),
    [
        ("status", "finished", "invalid_choice"),
        ("stauts", "failed", "unknown_parameter"),
        ("format", "api", "unknown_parameter"),
        ("reference", "a\x00", "null_characters_not_allowed"),
        ("created_after", "yesterday", "invalid"),
        ("created_after", "2030-01-01T00:00:00", "invalid"),
        ("created_before", "0001-01-01T00:00:00+14:00", "invalid"),
        ("page_size", "0", "invalid"),
        ("page_size", "-1", "invalid"),
        ("page_size", "many", "invalid"),
        ("page_size", "²", "invalid"),
        ("cursor", "x", "invalid"),
        ("cursor", "ü", "invalid"),
        ("cursor", "cD1ub2JvZHk=", "invalid"),
        ("cursor", "cj14", "invalid"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_an_error(
    acme: ThirdParty, parameter: str, value: str, code: str
) -> None:
    assert faults(acme.get(query={parameter: value})) == {(parameter, code)}


def test_receipts(acme: ThirdParty) -> None:
    mine, other = row(acme, recipients=["token-1", "token-2"]), row(acme)
    accepted = receipt(mine, "token-1", status=DeliveryStatus.ACCEPTED, provider_id="p-1")
    dropped = receipt(
        mine, "token-2", status=DeliveryStatus.DROPPED, error_code="http_410", error="Gone."
    )
    receipt(other, "token-3", status=DeliveryStatus.ACCEPTED)
    body = acme.get(f"{mine.pk}/deliveries").json()
    assert {item["id"]: item for item in body["results"]} == {
        str(delivery.pk): {
            "id": str(delivery.pk),
            "address": delivery.address,
            "status": delivery.status,
            "provider_id": delivery.provider_id,
            "error": error,
            "attempts": 1,
            "started_at": NOW.isoformat().replace("+00:00", "Z"),
            "finished_at": NOW.isoformat().replace("+00:00", "Z"),
        }
        for delivery, error in [
            (accepted, None),
            (dropped, {"code": "http_410", "detail": "Gone."}),
        ]
    }


def test_receipts_come_in_pages(acme: ThirdParty) -> None:
    mine = row(acme)
    for n in range(5):
        receipt(mine, f"token-{n}", status=DeliveryStatus.ACCEPTED)
    first = acme.get(f"{mine.pk}/deliveries", query={"page_size": 3})
    second = acme.get(first.json()["next"])
    assert len({*listed(first), *listed(second)}) == 5
    assert second.json()["next"] is None


def test_reading_costs_the_same_however_many_there_are(
    acme: ThirdParty, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    mine = row(acme)
    for _ in range(9):
        row(acme)
    for n in range(10):
        receipt(mine, f"token-{n}", status=DeliveryStatus.ACCEPTED)
    with django_assert_num_queries(2):  # the key, the row
        acme.get(str(mine.pk))
    with django_assert_num_queries(2) as captured:  # the key, the page
        acme.get(query={"status": ["queued", "failed"]})
    assert "COUNT(" not in captured[1]["sql"]
    assert '"title"' not in captured[1]["sql"]
    with django_assert_num_queries(3):  # the key, the row, the page
        acme.get(f"{mine.pk}/deliveries")


def test_a_look_that_finds_nothing_new_costs_one_query(
    acme: ThirdParty, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    request = row(acme)
    first = acme.get(str(request.pk))
    tag = first.headers["ETag"]
    for known in (tag, f'"other", W/{tag}', "*"):
        with django_assert_num_queries(1):
            response = acme.get(str(request.pk), If_None_Match=known)
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["ETag"] == tag
    assert acme.get(str(request.pk), If_None_Match='"other"').json() == first.json()
    PushRequest.objects.filter(pk=request.pk).transition(Status.CANCELED)
    moved = acme.get(str(request.pk), If_None_Match=tag)
    assert (moved.status_code, moved.json()["status"]) == (200, "canceled")
    assert moved.headers["ETag"] != tag


def test_the_entity_tag_of_another_client_tells_nothing(
    acme: ThirdParty, rival: ThirdParty
) -> None:
    request = row(rival)
    assert acme.get(str(request.pk), If_None_Match="*").status_code == 404
    wrong = rival.get(str(request.pk), If_None_Match="*", Authorization="Bearer a.b")
    assert wrong.status_code == 401


def test_receipts_of_many(
    acme: ThirdParty, rival: ThirdParty, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    one = row(acme, total=2, recipients=["a", "b"])
    large, foreign = row(acme, total=11), row(rival)
    first = receipt(one, "a", status=DeliveryStatus.ACCEPTED)
    receipt(one, "b", status=DeliveryStatus.DROPPED, error_code="gone")
    receipt(large, "a", status=DeliveryStatus.ACCEPTED)
    wanted = [str(pk) for pk in (large.pk, foreign.pk, one.pk, uuid4(), one.pk)]
    acme.get()
    with django_assert_num_queries(4):  # the key, the rows, their receipts, their recipients
        response = acme.post("receipts", {"ids": wanted})
    assert response.status_code == 200
    items = response.json()["items"]
    assert [item["id"] for item in items] == wanted
    assert [item["status"] for item in items] == [200, 404, 200, 404, 200]
    assert items[0]["deliveries"] is None
    assert items[2] == items[4]
    assert items[2]["push_request"] == acme.get(str(one.pk)).json()
    assert {d["status"] for d in items[2]["deliveries"]} == {"accepted", "dropped"}
    assert str(first.pk) in {d["id"] for d in items[2]["deliveries"]}
    assert items[1]["problem"]["status"] == 404


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, {("/ids", "required")}),
        ({"ids": []}, {("/ids", "empty")}),
        ({"ids": {}}, {("/ids", "invalid_type")}),
        ({"ids": None}, {("/ids", "invalid_type")}),
        (
            {"ids": ["x", 5], "id": 1},
            {("/ids/0", "invalid_id"), ("/ids/1", "invalid_id"), ("/id", "unknown_field")},
        ),
        ({"ids": [str(uuid4())] * 1_001}, {("/ids", "too_many")}),
        ([], {("", "invalid_type")}),
    ],
)
def test_receipts_need_ids(acme: ThirdParty, body: Any, expected: set[tuple[str, str]]) -> None:
    assert faults(acme.post("receipts", body)) == expected


@pytest.mark.parametrize("status", [Status.PENDING, Status.RUNNING, Status.FAILED])
def test_a_row_reads_as_its_fields_say(acme: ThirdParty, status: Status) -> None:
    request = row(acme, status, next_attempt_at=NOW, result={"codes": {"gone": 1}}, error="x")
    shown = acme.get(str(request.pk)).json()
    context = {"request": acme.http.get("/api/v1/push-requests").wsgi_request}
    context["request"].resolver_match = resolve("/api/v1/push-requests")
    serializer = PushRequestSerializer(context=context)
    by_field = Serializer.to_representation(serializer, request)
    assert json.loads(json.dumps(by_field)) == shown
    assert list(by_field) == list(shown)
