"""Every call that takes a body, given members with names that nobody expects.

Calls are taken from the OpenAPI document, so a new one is driven as soon as it is described; what
our own apps call (the devices) stands beside them.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from django_pushjobs.models import PushRequest
from tests.support.third_party import MOUNT, ThirdParty, faults, operations

pytestmark = pytest.mark.django_db(transaction=True)

DEVICES = "/api/me/devices"
NOBODYS = "00000000-0000-7000-8000-000000000000"
#: What somebody may call a member -> the token of a JSON pointer to it (RFC 6901, section 3).
NAMES = {
    "\ud800": "?",  # half of a pair, which UTF-8 cannot express
    "a\udfffb": "a?b",
    "\udc00\ud800": "??",
    "": "",
    "/": "~1",
    "~": "~0",
    "~1": "~01",
    "a/b~c": "a~1b~0c",
    "\x00": "\x00",
    "\r\n\u2028": "\r\n\u2028",
    '"\\': '"\\',
    "\U0001f600é": "\U0001f600é",
    "__class__": "__class__",
    "x" * 1_000: "x" * 64,
}
#: Names that ``options`` cannot have, whatever its members are.
NOT_STORABLE = {"\ud800", "a\udfffb", "\udc00\ud800", "\x00"}
#: Calls that take a body, and where in it a member may be unknown.
BODIES = {
    ("post", "/push-requests"): [(), ("options", "webpush", "headers"), ("options",)],
    ("post", "/push-requests/batch"): [(), ("items", 0), ("items", 0, "options")],
    ("post", "/push-requests/receipts"): [()],
    ("post", "/callback-endpoints"): [()],
    ("patch", "/callback-endpoints/{id}"): [()],
    ("post", "/callback-endpoints/{id}/replay"): [()],
}


@pytest.fixture(scope="module")
def document() -> Any:
    return Client().get(f"{MOUNT}/openapi.json").json()


@pytest.fixture
def acme() -> ThirdParty:
    return ThirdParty()


def a_body(place: tuple[str | int, ...], name: str) -> Any:
    """Return a body that has the member ``name`` at ``place``, and nothing of use beside it."""
    value: Any = {name: "x\r\n"}
    for token in reversed(place):
        value = [value] if isinstance(token, int) else {token: value}
        if token == "options":
            value["backend"] = "webpush"
    return value


def expected(place: tuple[str | int, ...], name: str) -> str:
    if "options" in place and name in NOT_STORABLE:
        place, token = place[: place.index("options")], "options"
    else:
        token = NAMES[name]
    return "".join(f"/{token}" for token in (*place, token))


def test_every_call_with_a_body_is_driven(document: Any) -> None:
    assert BODIES.keys() == {
        (method, path)
        for method, path, operation in operations(document)
        if "requestBody" in operation
    }


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:9]))
@pytest.mark.parametrize(("method", "path"), BODIES)
def test_an_unknown_member_is_pointed_at(
    acme: ThirdParty, method: str, path: str, name: str
) -> None:
    for place in BODIES[method, path]:
        response = acme.call(method, path.replace("{id}", NOBODYS), a_body(place, name))
        pointers = {pointer for pointer, _ in faults(response)}
        if "options" in place and len(name) > 64:
            # A backend may name it in full.
            pointers = {pointer[: len(expected(place, name))] for pointer in pointers}
        assert expected(place, name) in pointers, (place, response.content)
    assert not PushRequest.objects.exists()


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:9]))
def test_a_device_is_read_as_strictly(name: str) -> None:
    app = Client(raise_request_exception=False)
    app.force_login(get_user_model().objects.create_user("anna"))
    response = app.post(DEVICES, json.dumps({name: 1}), content_type="application/json")
    assert ("/" + NAMES[name], "unknown_field") in faults(response)


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:9]))
def test_an_item_that_is_refused_goes_beside_one_that_is_not(acme: ThirdParty, name: str) -> None:
    items = [{"recipients": ["token"]}, {"recipients": ["token"], name: 1}]
    # What is kept for a repetition is stored as text, which has to be UTF-8 as well.
    response = acme.post("batch", {"items": items}, Idempotency_Key="k")
    assert response.status_code == 202, response.content
    _, refused = response.json()["items"]
    assert [(e["pointer"], e["code"]) for e in refused["problem"]["errors"]] == [
        (f"/items/1/{NAMES[name]}", "unknown_field")
    ]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:9]))
def test_a_call_that_takes_no_body_does_not_look_at_one(
    acme: ThirdParty, document: Any, name: str
) -> None:
    for method, path, operation in operations(document):
        if method != "get" and "requestBody" not in operation:
            response = acme.call(method, path.replace("{id}", NOBODYS), {name: {name: [name]}})
            assert response.status_code == 404, (method, path, response.content)
