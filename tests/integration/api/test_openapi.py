"""The OpenAPI document and its page: complete, valid, and all from this host."""

from __future__ import annotations

import io
import re
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.validation import validate_schema
from jsonschema import Draft202012Validator
from pytest_django import Settings

from django_pushjobs.api.openapi import document as openapi
from django_pushjobs.api.openapi import examples
from django_pushjobs.models import EventType
from tests.support.third_party import ThirdParty
from tests.support.third_party import operations as all_operations

OPERATIONS = {
    ("/push-requests", "post"): "202",
    ("/push-requests", "get"): "200",
    ("/push-requests/batch", "post"): "202",
    ("/push-requests/receipts", "post"): "200",
    ("/push-requests/events", "get"): "200",
    ("/push-requests/{id}", "get"): "200",
    ("/push-requests/{id}/deliveries", "get"): "200",
    ("/push-requests/{id}/cancel", "post"): "200",
    ("/push-requests/{id}/retry", "post"): "202",
    ("/push-requests/{id}/events", "get"): "200",
    ("/callback-endpoints", "post"): "201",
    ("/callback-endpoints", "get"): "200",
    ("/callback-endpoints/{id}", "get"): "200",
    ("/callback-endpoints/{id}", "patch"): "200",
    ("/callback-endpoints/{id}", "delete"): "204",
    ("/callback-endpoints/{id}/rotate", "post"): "200",
    ("/callback-endpoints/{id}/pause", "post"): "200",
    ("/callback-endpoints/{id}/resume", "post"): "200",
    ("/callback-endpoints/{id}/test", "post"): "202",
    ("/callback-endpoints/{id}/events", "get"): "200",
    ("/callback-endpoints/{id}/replay", "post"): "202",
    ("/callbacks/{id}", "get"): "200",
    ("/callbacks/{id}/replay", "post"): "202",
    ("/callbacks/{id}/attempts", "get"): "200",
}
STREAMS = [("/push-requests/events", "get"), ("/push-requests/{id}/events", "get")]


@pytest.fixture
def document() -> Any:
    return Client().get("/api/v1/openapi.json").json()


def operations(document: Any) -> dict[tuple[str, str], Any]:
    """Return the operations by path and method, in the order of the document."""
    return {(path, method): operation for method, path, operation in all_operations(document)}


def test_is_valid_and_was_made_without_a_warning() -> None:
    openapi.document.cache_clear()
    GENERATOR_STATS.reset()
    with GENERATOR_STATS.silence():
        document = openapi.document_at("/api/v1")
    assert not GENERATOR_STATS, [*GENERATOR_STATS._warn_cache, *GENERATOR_STATS._error_cache]
    validate_schema(document)


def test_is_openapi_3_1(document: Any) -> None:
    assert document["openapi"].startswith("3.1.")
    assert "nullable" not in str(document)


def test_a_body_may_have_no_other_members(document: Any) -> None:
    for name in ("NewPushRequest", "NewBatch"):
        assert document["components"]["schemas"][name]["additionalProperties"] is False
    assert "additionalProperties" not in document["components"]["schemas"]["PushRequest"]


def test_is_made_without_a_warning_in_the_schema_of_a_project(settings: Settings) -> None:
    call_command(
        "spectacular",
        urlconf="example_project.urls",
        fail_on_warn=True,
        validate=True,
        stdout=io.StringIO(),
    )


def test_describes_the_callbacks(document: Any) -> None:
    assert set(document["webhooks"]) == set(EventType.values)
    told = document["paths"]["/push-requests"]["post"]["callbacks"]
    assert set(told) == {name for name in EventType.values if name.startswith("push.request.")}


def test_describes_every_operation(document: Any) -> None:
    found = operations(document)
    assert list(found) == list(OPERATIONS)
    for key, status in OPERATIONS.items():
        operation = found[key]
        assert operation["summary"]
        assert operation["description"]
        scope = operation["security"][0]["bearer"]
        reads = key[1] == "get" or key[0].endswith("/receipts")
        of_others = ["callbacks"] if "callback" in key[0] else ["submit"]
        assert scope == (["read"] if reads and "callback" not in key[0] else of_others)
        assert operation["security"] == [{"bearer": scope}, {"apiKey": scope}]
        assert {status, "401", "403", "429", "503"} <= operation["responses"].keys()
        for code, response in operation["responses"].items():
            if code in ("204", "304"):
                assert "content" not in response
                continue
            media_type = "application/json" if code < "400" else "application/problem+json"
            if code == "200" and key in STREAMS:
                media_type = "text/event-stream"
            assert list(response["content"]) == [media_type]
            assert {"X-Request-ID", "RateLimit-Policy", "RateLimit"} <= response["headers"].keys()
        assert "Retry-After" in operation["responses"]["503"]["headers"]
        assert "WWW-Authenticate" in operation["responses"]["401"]["headers"]
    assert document["servers"] == [{"url": "/api/v1"}]


def test_what_it_promises_of_headers_is_so(document: Any) -> None:
    for key in [("/push-requests", "post"), ("/push-requests/{id}/retry", "post")]:
        headers = operations(document)[key]["responses"]["202"]["headers"]
        assert {"Location", "Retry-After"} <= headers.keys()


def check(document: Any, name: str, value: Any) -> None:
    """Make sure that ``value`` is what the component ``name`` says."""
    components = document["components"]
    reference = {"$ref": f"#/components/schemas/{name}", "components": components}
    validator = Draft202012Validator(reference)
    assert [e.message for e in validator.iter_errors(value)] == []


@pytest.mark.django_db
def test_answers_and_examples_are_as_described(document: Any) -> None:
    acme = ThirdParty()
    one = acme.post(body={"recipients": ["token"]}).json()
    check(document, "PushRequest", one)
    check(document, "PushRequest", acme.get(one["id"]).json())
    check(document, "PaginatedPushRequestList", acme.get().json())
    check(document, "PaginatedDeliveryList", acme.get(f"{one['id']}/deliveries").json())
    check(
        document, "BatchAnswer", acme.post("batch", {"items": [{}, {"recipients": ["t"]}]}).json()
    )
    check(
        document, "ReceiptsAnswer", acme.post("receipts", {"ids": [one["id"], str(uuid4())]}).json()
    )
    check(document, "Problem", acme.post(body={}).json())
    check(document, "Problem", acme.get("none").json())
    for example, name in [
        (examples.NEW, "NewPushRequest"),
        (examples.QUEUED, "PushRequest"),
        (examples.DONE, "PushRequest"),
        (examples.INVALID, "Problem"),
        (examples.INSUFFICIENT, "Problem"),
        (examples.EXCEEDED, "Problem"),
        (examples.NEW_BATCH, "NewBatch"),
        (examples.BATCH_ANSWER, "BatchAnswer"),
    ]:
        check(document, name, example)
    assert acme.post(body=examples.NEW | {"expires_at": None}).status_code == 202


def test_the_page_loads_nothing_from_elsewhere() -> None:
    response = Client().get("/api/v1/docs")
    page = response.content.decode()
    assert response.status_code == 200
    sources = re.findall(r'(?:src|href|data-openapi)="([^"]+)"', page)
    assert not [source for source in sources if "//" in source]
    static = [source.removeprefix("/static/") for source in sources if "/static/" in source]
    assert len(static) == 4
    assert all(finders.find(path) for path in static)
    assert not re.findall(r"<script>|<style|\son\w+=", page)
