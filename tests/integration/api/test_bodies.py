"""Every call that takes a body, given members with names and values that nobody expects.

Calls are taken from the OpenAPI document, so a new one is driven as soon as it is described; what
our own apps call (the devices) stands beside them.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from pytest_django import Settings

from django_pushjobs.callbacks import endpoints
from django_pushjobs.models import PushRequest
from tests.support.callbacks import INSECURE
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


#: Values that somebody may put anywhere.
ODD: tuple[Any, ...] = (
    *(None, True, -1, 1.5, 2**63, "", "\x00", "\ud800", "9" * 5_000),
    *([], [None], ["\ud800"], {}, {"\ud800": "\ud800"}, {"a/b~": {"": "\x00"}}),
)
#: A body with everything that a call may have.
SUBMISSION: dict[str, Any] = {
    "recipients": ["token", {"address": "token"}, {"user": 1}, {"tag": "news"}],
    "title": "t",
    "body": "b",
    "data": {"k": "v"},
    "options": {
        "image": "https://x.example/y",
        "badge": 1,
        "sound": "s",
        "click_action": "c",
        "apns": {"headers": {"apns-priority": "5"}, "payload": {"aps": {}}},
        "fcm": {"android": {}},
        "webpush": {"headers": {"TTL": "1"}},
    },
    "backend": "webpush",
    "priority": "high",
    "send_at": "2099-01-01T00:00:00Z",
    "expires_at": None,
    "ttl": 5,
    "collapse_key": "k",
    "on_unknown": "retry",
    "callback_url": "http://127.0.0.1/",
    "reference": "r",
    "validate_only": False,
}
FULL = {
    ("post", "/push-requests"): SUBMISSION,
    ("post", "/push-requests/batch"): {"items": [{"recipients": ["token"]}]},
    ("post", "/push-requests/receipts"): {"ids": [NOBODYS]},
    ("post", "/callback-endpoints"): {"url": "http://127.0.0.1/", "event_types": ["x"]},
    ("patch", "/callback-endpoints/{id}"): {"url": "http://127.0.0.1/", "event_types": ["x"]},
    ("post", "/callback-endpoints/{id}/replay"): {
        "since": "2020-01-01T00:00:00Z",
        "failed_only": True,
    },
}
DEVICE = {"platform": "web", "address": "a", "app": "a", "locale": "de", "tags": ["news"]}


def odd_bodies(body: Any) -> Iterator[Any]:
    """Yield ``body`` with an odd value in each of its places, one after the other."""
    for place in places(body):
        for value in ODD:
            yield replaced(body, place, value)


def places(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield place
    inner: Any = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for token, item in inner:
        yield from places(item, (*place, token))


def replaced(body: Any, place: tuple[str | int, ...], value: Any) -> Any:
    if not place:
        return value
    body = copy.deepcopy(body)
    inner = body
    for token in place[:-1]:
        inner = inner[token]
    inner[place[-1]] = value
    return body


@pytest.fixture
def _everything(settings: Settings) -> None:
    """All kinds of recipients, and a backend for devices."""
    devices = "django_pushjobs.devices.resolvers"
    settings.PUSHJOBS = INSECURE | {
        "RESOLVERS": {
            "address": {"RESOLVER": "django_pushjobs.recipients.AddressResolver"},
            "user": {"RESOLVER": f"{devices}.UserResolver"},
            "tag": {"RESOLVER": f"{devices}.TagResolver"},
        },
        "DEVICE_BACKENDS": {"web": "locmem"},
    }


@pytest.mark.usefixtures("_everything")
@pytest.mark.parametrize(("method", "path"), BODIES)
def test_no_value_makes_a_call_fail(acme: ThirdParty, method: str, path: str) -> None:
    acme.client.may_set_callback_url = True
    acme.client.save()
    endpoint, _ = endpoints.register(acme.client, "http://127.0.0.1/")
    address = path.replace("{id}", str(endpoint.pk))
    statuses = set()
    for body in odd_bodies(FULL[method, path]):
        response = acme.call(method, address, body)
        assert response.status_code < 500, (body, response.content)
        assert response.content.decode() or response.status_code == 204
        statuses.add(response.status_code)
    assert 400 in statuses


@pytest.mark.usefixtures("_everything")
def test_no_value_makes_a_device_fail() -> None:
    app = Client(raise_request_exception=False)
    app.force_login(get_user_model().objects.create_user("anna"))
    for body in odd_bodies(DEVICE):
        response = app.post(DEVICES, json.dumps(body), content_type="application/json")
        assert response.status_code in (200, 201, 400), (body, response.content)
        assert response.content.decode()
