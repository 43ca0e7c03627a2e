"""A client meets nothing of another one, whatever the OpenAPI document lets it call.

Routes are taken from the document, and what to send from its examples, so a new route is walked as
soon as it is described. Where the walk finds nothing to look at, it says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from django_pushjobs.callbacks import endpoints
from django_pushjobs.models import CallbackEndpoint, PushRequest
from django_pushjobs.states import Status
from tests.support.callbacks import INSECURE
from tests.support.operations import examples
from tests.support.samples import some_deliveries
from tests.support.third_party import MOUNT, ThirdParty, operations

pytestmark = pytest.mark.django_db(transaction=True)

#: An id that nobody has: what is another's gets the same answer.
NOBODYS = "00000000-0000-7000-8000-000000000000"
UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


@pytest.fixture(scope="module")
def document() -> Any:
    return Client().get(f"{MOUNT}/openapi.json").json()


def example(operation: Any) -> Any:
    """Return a body for the operation, from its example, or None where it takes none."""
    return next(examples(operation), None)


def parameters(path: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", path)


def call(party: ThirdParty, method: str, path: str, body: Any = None, **headers: str) -> Any:
    response = party.call(method, path, body, **headers)
    # There are no streams on a server with threads.
    assert response.status_code < 500 or response.status_code == 501, (path, response.content)
    return response


def text_of(response: Any) -> str:
    """Return what the response says; of a stream that never ends, nothing."""
    if response.streaming:
        response.close()
        return ""
    headers = " ".join(f"{name}: {value}" for name, value in response.headers.items())
    return f"{headers} {response.content.decode()}"


def ids_in(value: Any) -> Iterator[str]:
    """Yield every ``id`` in a JSON value."""
    if isinstance(value, dict):
        if isinstance(value.get("id"), str | int):
            yield str(value["id"])
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from ids_in(item)


@pytest.fixture
def acme(document: Any, settings: Settings) -> ThirdParty:
    """A client with something of everything that can be made."""
    settings.PUSHJOBS = INSECURE
    acme = ThirdParty("acme")
    for method, path, operation in operations(document):
        if method == "post" and not parameters(path) and example(operation):
            call(acme, method, path, example(operation))
    done = PushRequest.objects.filter(client=acme.client)[0]
    PushRequest.objects.filter(pk=done.pk).update(
        status=Status.FAILED, finished_at=done.created_at, error_code="gave_up"
    )
    some_deliveries(done, 2)
    endpoints.send_test(CallbackEndpoint.objects.get(client=acme.client))
    return acme


def belongings(acme: ThirdParty, document: Any) -> dict[str, str]:
    """Return what the client reads: path -> answer, of every address that has something."""
    found, ids = {}, set[str]()
    reads = [path for method, path, _ in operations(document) if method == "get"]
    for path in sorted(reads, key=lambda path: len(parameters(path))):
        for values in product(sorted(ids), repeat=len(parameters(path))):
            address = filled(path, values)
            response = call(acme, "get", address)
            if response.status_code == 200 and not response.streaming:
                found[address] = response.content.decode()
                ids |= set(ids_in(response.json()))
    return found


def filled(path: str, values: tuple[str, ...]) -> str:
    for name, value in zip(parameters(path), values, strict=True):
        path = path.replace(f"{{{name}}}", value)
    return path


def with_ids(body: Any, ids: list[str]) -> Any:
    """Return ``body`` with the ids of its example replaced by others, as many as there are."""
    left = iter(ids * 100)
    return json.loads(UUID.sub(lambda match: next(left), json.dumps(body)))


def test_the_walk_has_something_to_find(acme: ThirdParty, document: Any) -> None:
    found = belongings(acme, document)
    for method, path, operation in operations(document):
        # Of a route with ids, at least one is there for its owner.
        pattern = re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))
        if method == "get" and parameters(path) and "text/event-stream" not in str(operation):
            assert any(pattern.fullmatch(address) for address in found), f"nothing at {path}"


@pytest.mark.parametrize("kind", ["live", "test", "own test"])
def test_a_stranger_finds_nothing_and_changes_nothing(
    acme: ThirdParty, document: Any, kind: str
) -> None:
    before = belongings(acme, document)
    ids = sorted({found for answer in before.values() for found in ids_in(json.loads(answer))})
    stranger = ThirdParty("stranger")
    if kind != "live":
        stranger = ThirdParty(live=acme.client if kind == "own test" else stranger.client)
    assert len(ids) > 3
    for method, path, operation in operations(document):
        for values in product(ids, repeat=len(parameters(path))):
            address = filled(path, values)
            body = example(operation)
            response = call(stranger, method, address, body and with_ids(body, ids))
            if parameters(path):
                if method == "get":
                    # "Whatever it is by now" is fulfilled by nothing of another's.
                    told_by_tag = call(stranger, method, address, If_None_Match="*")
                    assert told_by_tag.status_code == response.status_code
                nowhere = filled(path, (NOBODYS,) * len(values))
                same = call(stranger, method, nowhere, body).status_code
                assert response.status_code == same >= 400, (method, address, response.content)
            told = text_of(response).replace(f"{MOUNT}{address}", "")
            leaked = [found for found in ids if found in told]
            allowed = leaked if operation_echoes(response) else []
            assert leaked == allowed, (method, address, told)
    assert belongings(acme, document) == before


def operation_echoes(response: Any) -> bool:
    """Whether the answer may name ids that it was asked for: a problem says what was not found."""
    return response.status_code >= 400 or b'"missing"' in response.content
