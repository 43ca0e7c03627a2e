"""POST push-requests: answered at once, or refused with every reason."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import django_rq
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings
from rq.serializers import JSONSerializer

from django_pushjobs.api.parsers import MAX_CONTAINERS, MAX_VALUES
from django_pushjobs.events.listeners import TooManyListeners
from django_pushjobs.models import PushRequest
from django_pushjobs.recipients import BaseResolver
from tests.support.third_party import PUSH_REQUESTS, ThirdParty, faults, problem

pytestmark = pytest.mark.django_db(transaction=True)

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def acme() -> ThirdParty:
    return ThirdParty()


def test_answers_at_once_with_the_resource_and_where_to_look(acme: ThirdParty) -> None:
    response = acme.post(
        body={
            "recipients": ["token-1", {"address": "token-2"}],
            "title": "Grüße",
            "body": "line\nline",
            "data": {"deep": [1, {"x": None}]},
            "options": {"ttl": 5},
            "backend": "dummy",
            "priority": "high",
            "send_at": "2099-01-01T12:00:00+02:00",
            "expires_at": "2099-01-02T00:00:00Z",
            "collapse_key": "c",
            "reference": "parcel-1",
        },
        X_Request_ID="call-1",
        traceparent=TRACEPARENT,
    )
    row = PushRequest.objects.get()
    assert response.status_code == 202
    assert response.headers["Location"] == f"http://testserver/api/v1/push-requests/{row.pk}"
    assert response.headers["Retry-After"] == "1"
    assert response.headers["X-Request-ID"] == "call-1"
    assert response.json() == {
        "id": str(row.pk),
        "reference": "parcel-1",
        "status": "pending",
        "done": False,
        "backend": "dummy",
        "priority": "high",
        "counts": {"total": 2, "accepted": 0, "failed": 0, "dropped": 0, "unknown": 0},
        "error": None,
        "result": None,
        "attempts": 0,
        "created_at": row.created_at.isoformat().replace("+00:00", "Z"),
        "queued_at": None,
        "send_at": "2099-01-01T10:00:00Z",
        "expires_at": "2099-01-02T00:00:00Z",
        "next_attempt_at": "2099-01-01T10:00:00Z",
        "started_at": None,
        "finished_at": None,
        "cancel_requested_at": None,
        "links": {
            "self": response.headers["Location"],
            "deliveries": f"{response.headers['Location']}/deliveries",
        },
    }
    assert acme.get(response.headers["Location"]).json() == response.json()
    assert (row.client, row.recipients) == (acme.client, ["token-1", {"address": "token-2"}])
    assert (row.title, row.body, row.data) == ("Grüße", "line\nline", {"deep": [1, {"x": None}]})
    assert (row.options, row.collapse_key) == ({"ttl": 5}, "c")
    assert row.send_at == datetime(2099, 1, 1, 10, tzinfo=UTC)
    assert (row.request_id, row.traceparent) == ("call-1", TRACEPARENT)


def test_rings_for_a_worker(acme: ThirdParty) -> None:
    body = acme.post(body={"recipients": ["token"]}).json()
    assert body["status"] == "queued"
    [job] = django_rq.get_queue("pushjobs", serializer=JSONSerializer).jobs
    assert list(job.args) == [body["id"]]


def test_null_stands_for_nothing_where_that_makes_sense(acme: ThirdParty) -> None:
    body = {"recipients": ["token"], "backend": None, "send_at": None, "expires_at": None}
    assert acme.post(body=body).json()["backend"] == "locmem"


def test_costs_a_look_at_the_key_and_one_insert(acme: ThirdParty) -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert acme.post(body={"recipients": ["token"]}).status_code == 202
    kinds = [query["sql"].split()[0] for query in queries]
    assert [kind for kind in kinds if kind not in ("BEGIN", "COMMIT")] == ["SELECT", "INSERT"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"recipients": []}, {("/recipients", "empty")}),
        ({"recipients": "token"}, {("/recipients", "invalid_type")}),
        ({"recipients": None}, {("/recipients", "null")}),
        ({"recipients": ["ok", 5]}, {("/recipients/1", "invalid_recipient")}),
        ({"recipients": ["\ud800"]}, {("/recipients/0", "invalid_recipient")}),
        ({"recipients": [{"nobody": 1}]}, {("/recipients/0", "invalid_recipient")}),
        ({"recipients": ["t"] * 1_001}, {("/recipients", "too_many")}),
        ({"title": 5}, {("/title", "invalid_type")}),
        ({"title": True}, {("/title", "invalid_type")}),
        ({"title": None}, {("/title", "null")}),
        ({"title": "a\x00b"}, {("/title", "control_characters")}),
        ({"title": "\ud800"}, {("/title", "invalid_unicode")}),
        ({"title": "x" * 1_025}, {("/title", "too_long")}),
        ({"body": ["x"]}, {("/body", "invalid_type")}),
        ({"data": []}, {("/data", "invalid_type")}),
        ({"data": {"a": "\x00"}}, {("/data", "control_characters")}),
        ({"data": {"\udfff": 1}}, {("/data", "invalid_unicode")}),
        ({"data": {"a": "x" * 70_000}}, {("/data", "too_long")}),
        ({"options": "x"}, {("/options", "invalid_type")}),
        ({"backend": "nowhere"}, {("/backend", "unknown_backend")}),
        ({"backend": ""}, {("/backend", "blank")}),
        ({"backend": ["locmem"]}, {("/backend", "invalid_type")}),
        ({"priority": "urgent"}, {("/priority", "invalid_choice")}),
        ({"priority": {}}, {("/priority", "invalid_type")}),
        ({"send_at": 1_900_000_000}, {("/send_at", "invalid_type")}),
        ({"send_at": "tomorrow"}, {("/send_at", "invalid")}),
        ({"send_at": "2099-02-31T00:00:00Z"}, {("/send_at", "invalid")}),
        ({"send_at": "2099-01-01T00:00:00"}, {("/send_at", "naive")}),
        ({"send_at": "2001-01-01T00:00:00Z"}, {("/send_at", "past")}),
        ({"expires_at": "2001-01-01T00:00:00Z"}, {("/expires_at", "past")}),
        ({"expires_at": "9999-12-31T23:59:59-23:59"}, {("/expires_at", "invalid")}),
        ({"collapse_key": "a\nb"}, {("/collapse_key", "control_characters")}),
        ({"reference": "x" * 256}, {("/reference", "too_long")}),
        ({"titel": "x"}, {("/titel", "unknown_field")}),
        ({"a/b~": 1}, {("/a~1b~0", "unknown_field")}),
        ({"": 1, "title": 5}, {("/", "unknown_field"), ("/title", "invalid_type")}),
        ({"": 1, "title": "a\x00b"}, {("/", "unknown_field"), ("/title", "control_characters")}),
        (
            {"title": 5, "priority": "x"},
            {("/title", "invalid_type"), ("/priority", "invalid_choice")},
        ),
    ],
)  # fmt: skip
def test_names_every_field_at_fault(
    acme: ThirdParty, change: dict[str, Any], expected: set[tuple[str, str]]
) -> None:
    assert faults(acme.post(body={"recipients": ["token"]} | change)) == expected
    assert not PushRequest.objects.exists()


@pytest.mark.parametrize("body", [[], "text", 5, None, True])
def test_a_body_that_is_no_object(acme: ThirdParty, body: Any) -> None:
    assert faults(acme.post(body=json.dumps(body).encode())) == {("", "invalid_type")}


def test_a_name_that_cannot_be_written_is_named_as_well_as_can_be(acme: ThirdParty) -> None:
    response = acme.post(body={"recipients": ["t"], "\ud800": 1, "x" * 1_000: 1})
    assert faults(response) == {("/?", "unknown_field"), ("/" + "x" * 64, "unknown_field")}


def test_lists_a_bounded_number_of_errors(acme: ThirdParty) -> None:
    told = problem(acme.post(body={"recipients": [5] * 1_000}))
    assert told["detail"] == "More than 100 things are wrong; the first 100 are in errors."
    assert len(told["errors"]) == 100


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{'recipients': []}",
        b'{"recipients": ["t"], }',
        b'\xef\xbb\xbf{"recipients": ["t"]}',
        b'{"title": "\xff"}',
        '{"recipients": ["t"]}'.encode("utf-16"),
        b'{"data": {"x": NaN}}',
        b'{"data": {"x": -Infinity}}',
        b'{"recipients": ["a"], "recipients": ["b"]}',
        b'{"data": {"n": ' + b"9" * 5_000 + b"}}",
        b"[" * 40_000,
        b'{"data": ' + b'{"a":' * 40_000 + b"1" + b"}" * 40_001,
    ],
)
def test_malformed_json_is_a_problem(acme: ThirdParty, body: bytes) -> None:
    response = acme.post(body=body)
    assert response.status_code == 400
    assert problem(response)["detail"].startswith("The body is n")


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" + "0" * 20, "-9223372036854775809"])
def test_numbers_that_are_json_but_fit_nowhere(acme: ThirdParty, number: str) -> None:
    body = f'{{"recipients": ["t"], "data": {{"x": {number}}}}}'.encode()
    response = acme.post(body=body)
    assert response.status_code == 400
    assert "does not fit" in problem(response)["detail"]


def test_the_greatest_numbers(acme: ThirdParty) -> None:
    data = {"x": [2**64 - 1, -(2**63), 1.7976931348623157e308, 5e-324]}
    assert acme.post(body={"recipients": ["t"], "data": data}).status_code == 202
    # PostgreSQL writes a large number out, digit by digit: as a number it is the same.
    stored = PushRequest.objects.get().data
    assert list(map(float, stored["x"])) == list(map(float, data["x"]))


def nested(levels: int) -> Any:
    return [nested(levels - 1)] if levels else 1


def test_nesting_that_the_parser_takes_but_nobody_needs(acme: ThirdParty) -> None:
    deep = nested(62)
    assert faults(acme.post(body={"recipients": [deep], "data": {"x": deep}, "y": deep})) == {
        ("/recipients/0", "invalid_recipient"),
        ("/data", "too_deep"),
        ("/y", "unknown_field"),
    }


@pytest.mark.parametrize("levels", [64, 500, 40_000])
def test_nesting_that_is_too_deep_for_the_parser(acme: ThirdParty, levels: int) -> None:
    response = acme.post(body=b'{"y":' + b"[" * levels + b"]" * levels + b"}")
    assert response.status_code == 400
    assert problem(response)["detail"] == "The body is nested deeper than 64 levels."


@pytest.mark.parametrize(
    "members",
    [
        b'"data":[' + b"1," * MAX_VALUES + b"1]",
        b'"data":[' + b"[]," * MAX_CONTAINERS + b"1]",
        b'"data":[' + b"{}," * MAX_CONTAINERS + b"1]",
        b'"data":[' + b'"a",' * MAX_VALUES + b"1]",
        b'"data":[' + rb'"\\\",",' * MAX_VALUES + b"1]",
        b'"data":[' + b'"",' * 8 * MAX_VALUES + b"1]",
    ],
)
def test_more_values_than_are_parsed_in_one_go(acme: ThirdParty, members: bytes) -> None:
    response = acme.post(body=b"{" + members + b"}")
    assert response.status_code == 400
    assert problem(response)["detail"].startswith("The body has more than 100000 values")


def test_commas_and_brackets_in_strings_are_no_values(acme: ThirdParty) -> None:
    text = ',[{\\"\\\\' * 7_000
    items = [{"recipients": ["t"], "body": text.encode().decode("unicode_escape")}] * 20
    response = acme.post("batch", body={"items": items})
    assert {ticket["status"] for ticket in response.json()["items"]} == {202}


def test_a_body_that_announces_too_much_is_not_read(acme: ThirdParty, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    response = acme.http.post(
        "/api/v1/push-requests",
        data=b"{}",
        content_type="application/json",
        headers={"Authorization": f"Bearer {acme.secret}"},
        CONTENT_LENGTH="11",
    )
    assert response.status_code == 413


def test_a_body_that_is_missing(acme: ThirdParty) -> None:
    assert faults(acme.post()) == {("/recipients", "required")}


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""]
)
def test_json_only(acme: ThirdParty, content_type: str) -> None:
    response = acme.post(body={"recipients": ["t"]}, content_type=content_type)
    assert response.status_code == 415
    assert problem(response)["detail"] == "The body must be application/json."


def test_parameters_of_the_media_type_do_not_matter(acme: ThirdParty) -> None:
    json_type = "Application/JSON; charset=latin-1"
    response = acme.post(body={"recipients": ["t"], "title": "ü"}, content_type=json_type)
    assert response.status_code == 202
    assert PushRequest.objects.get().title == "ü"


def test_a_body_that_is_too_large(acme: ThirdParty, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000
    response = acme.post(body={"recipients": ["t"], "body": "x" * 1_000})
    assert response.status_code == 413
    assert problem(response)["detail"] == "The body has more than 1000 bytes."


def test_without_redis_it_is_accepted_all_the_same(acme: ThirdParty, settings: Settings) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{unused.getsockname()[1]}/0"
        settings.RQ_QUEUES = {"pushjobs": {"URL": url}}
        response = acme.post(body={"recipients": ["token"]})
    assert response.status_code == 202
    row = PushRequest.objects.get()
    assert (row.status, response.json()["id"]) == ("pending", str(row.pk))
    assert row.next_attempt_at is not None
    assert row.next_attempt_at <= timezone.now() + timedelta(seconds=1)


class BrokenResolver(BaseResolver):
    def validate(self, value: Any) -> str | None:
        raise RuntimeError("a bug")


def test_a_bug_of_ours_is_a_problem_and_is_announced(
    acme: ThirdParty, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    resolvers = {"broken": {"RESOLVER": f"{__name__}.BrokenResolver"}}
    settings.PUSHJOBS = settings.PUSHJOBS | {"RESOLVERS": resolvers}
    response = acme.post(body={"recipients": [{"broken": 1}]})
    assert response.status_code == 500
    assert "bug" not in problem(response)["detail"]
    assert response.exc_info[0] is RuntimeError
    [record] = [r for r in caplog.records if r.name == "django.request"]
    assert record.exc_info


def test_ttl_counts_from_the_time_it_is_due(acme: ThirdParty) -> None:
    now = acme.post(body={"recipients": ["t"], "ttl": 60}).json()
    created = datetime.fromisoformat(now["created_at"])
    assert datetime.fromisoformat(now["expires_at"]) == created + timedelta(seconds=60)
    later = {"recipients": ["t"], "ttl": 60, "send_at": "2099-01-01T00:00:00Z"}
    assert acme.post(body=later).json()["expires_at"] == "2099-01-01T00:01:00Z"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"ttl": 0}, "out_of_range"),
        ({"ttl": 31_536_001}, "out_of_range"),
        ({"ttl": True}, "invalid_type"),
        ({"ttl": 1.5}, "invalid_type"),
        ({"ttl": 5, "expires_at": "2099-01-01T00:00:00Z"}, "conflict"),
    ],
)
def test_a_ttl_that_makes_no_sense(acme: ThirdParty, change: dict[str, Any], code: str) -> None:
    assert faults(acme.post(body={"recipients": ["t"], **change})) == {("/ttl", code)}


def test_a_rehearsal_stores_nothing(acme: ThirdParty) -> None:
    response = acme.post(body={"recipients": ["t"], "validate_only": True})
    assert (response.status_code, response.content) == (204, b"")
    assert faults(acme.post(body={"recipients": [], "validate_only": True})) == {
        ("/recipients", "empty")
    }
    batch = {"items": [{"recipients": ["t"]}, {}], "validate_only": True}
    tickets = acme.post("batch", batch).json()["items"]
    assert [ticket["status"] for ticket in tickets] == [204, 400]
    assert not PushRequest.objects.exists()


def test_a_rehearsal_is_asked_for_in_the_body_only(acme: ThirdParty) -> None:
    response = acme.http.post(
        f"{PUSH_REQUESTS}?validate_only=true",
        {"recipients": ["t"]},
        content_type="application/json",
        headers={"X-API-Key": acme.secret},
    )
    assert faults(response) == {("validate_only", "unknown_parameter")}
    for value in ("yes", None, 1):
        wrong = acme.post(body={"recipients": ["t"], "validate_only": value})
        assert faults(wrong) == {("/validate_only", "invalid_type")}
    wrong = acme.post(body={"recipients": [], "validate_only": "yes"})
    assert faults(wrong) == {("/validate_only", "invalid_type"), ("/recipients", "empty")}
    item = {"items": [{"recipients": ["t"], "validate_only": True}]}
    assert faults(acme.post("batch", item)) == {("/items/0/validate_only", "unknown_field")}
    assert not PushRequest.objects.exists()


def test_refused_streams_mail_nobody(
    acme: ThirdParty, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise TooManyListeners

    monkeypatch.setattr("django_pushjobs.api.sse.respond", refuse)
    assert acme.get("events").status_code == 503
    [record] = [r for r in caplog.records if r.name == "django.request"]
    assert (record.levelname, record.exc_info) == ("WARNING", None)
