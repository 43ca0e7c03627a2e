"""Attacks by a client with many calls: the largest, the same ones again, and those that race."""

from __future__ import annotations

import random
from collections import deque

from .caller import PUSH_REQUESTS, Caller
from .crowds import crowd
from .stage import Stage
from .subscriptions import subscription

MESSAGE = {"recipients": ["token"], "title": "Hello"}
LATER = MESSAGE | {"send_at": "2099-01-01T00:00:00Z"}
#: What a body of a call may hold at most, about.
LARGEST = 2_500_000


def large_batches(stage: Stage, seconds: float) -> None:
    """The largest batches in a row: accepted, refused item by item, and no JSON."""
    good = MESSAGE | {"recipients": [f"token-{i}" for i in range(90)]}
    bodies = (
        {"items": [good] * 1_000},
        {"items": [MESSAGE, *[{"recipients": [""] * 90}] * 999]},
        {"items": [{f"field-{i}": i for i in range(90)}] * 1_000},
        {"items": [MESSAGE] * 1_000, "validate_only": True},
        b'{"items":[' + b"[]," * (LARGEST // 3 - 10) + b"1]}",
        b'{"items":[' + b'"",' * (LARGEST // 3 - 10) + b"1]}",
        b'"' + b"\\u00e9" * (LARGEST // 6 - 10) + b'"',
    )

    def act(caller: Caller, chance: random.Random) -> None:
        caller.call("POST", f"{PUSH_REQUESTS}/batch", chance.choice(bodies))

    crowd(4, seconds, stage.caller("mallory"), act)


def repeats(stage: Stage, seconds: float) -> None:
    """The same keys of idempotency from many sides, with bodies that fit and that do not."""

    def act(caller: Caller, chance: random.Random) -> None:
        key = f"key-{chance.randrange(20)}"
        body = MESSAGE | {"reference": str(chance.randrange(2))}
        path = chance.choice((PUSH_REQUESTS, f"{PUSH_REQUESTS}/batch"))
        caller.call(
            "POST",
            path,
            body if path == PUSH_REQUESTS else {"items": [body] * 50},
            Idempotency_Key=key,
        )

    crowd(8, seconds, stage.caller("mallory"), act)


def changes_of_mind(stage: Stage, seconds: float) -> None:
    """Cancel, retry and look at the same push requests from many sides."""
    ids: deque[str] = deque(maxlen=50)

    def act(caller: Caller, chance: random.Random) -> None:
        if chance.random() < 0.2 or not ids:
            body = chance.choice((MESSAGE, LATER, _failing(stage)))
            answer = caller.call("POST", PUSH_REQUESTS, body)
            if answer.status == 202:
                ids.append(answer.json["id"])
        else:
            what = chance.choice(("/cancel", "/retry", "", "/deliveries"))
            method = "POST" if what in ("/cancel", "/retry") else "GET"
            caller.call(method, f"{PUSH_REQUESTS}/{chance.choice(tuple(ids))}{what}")

    crowd(8, seconds, stage.caller("mallory"), act)


def _failing(stage: Stage) -> dict[str, object]:
    return MESSAGE | {"backend": "webpush", "recipients": [subscription(stage.https, "redirect")]}


def endpoints(stage: Stage, seconds: float) -> None:
    """Register, change, test, replay and delete the same endpoints from many sides."""
    ids: deque[str] = deque(maxlen=30)
    url = f"http://127.0.0.1:{stage.http}/proven/good"
    since = {"since": "2020-01-01T00:00:00Z"}

    def act(caller: Caller, chance: random.Random) -> None:
        if chance.random() < 0.2 or not ids:
            answer = caller.call("POST", "/callback-endpoints", {"url": url})
            if answer.status == 201:
                ids.append(answer.json["id"])
            caller.call("POST", PUSH_REQUESTS, MESSAGE)
            return
        one = f"/callback-endpoints/{chance.choice(tuple(ids))}"
        match chance.randrange(8):
            case 0:
                caller.call("DELETE", one)
            case 1:
                caller.call("PATCH", one, {"url": f"{url}/{chance.randrange(9)}"})
            case 2:
                events = caller.call("GET", f"{one}/events")
                for event in events.json.get("results", ())[:3]:
                    caller.call("POST", f"/callbacks/{event['id']}/replay")
                    caller.call("GET", f"/callbacks/{event['id']}/attempts")
            case 3:
                caller.call("POST", f"{one}/replay", since)
            case _:
                what = chance.choice(("rotate", "pause", "resume", "test"))
                caller.call("POST", f"{one}/{what}")

    crowd(8, seconds, stage.caller("mallory"), act)
    # What is left would be called about everything from now on.
    caller = stage.caller("mallory")
    for endpoint in caller.call("GET", "/callback-endpoints").json["results"]:
        caller.call("DELETE", f"/callback-endpoints/{endpoint['id']}")


def devices(stage: Stage, seconds: float) -> None:
    """Register, renew and delete the same devices of one user from many sides."""
    addresses = [subscription(stage.https, "good") for _ in range(10)]
    mount = "/api/me/devices"

    def act(caller: Caller, chance: random.Random) -> None:
        match chance.randrange(4):
            case 0:
                found = caller.call("GET", mount).json.get("devices", ())
                for device in found[:3]:
                    caller.call("DELETE", f"{mount}/{device['id']}")
            case _:
                address = chance.choice(addresses)
                tags = [f"tag-{i}" for i in range(chance.randrange(50))]
                caller.call("POST", mount, {"platform": "web", "address": address, "tags": tags})

    crowd(8, seconds, stage.user(), act)
