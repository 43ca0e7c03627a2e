"""A client that asks for what belongs to another one, by every route."""

from __future__ import annotations

import random
import re
import time
from typing import Any

from tests.support.operations import operations

from .caller import PUSH_REQUESTS, Caller
from .crowds import crowd
from .ledger import CANARY
from .stage import Stage


def strangers(stage: Stage, seconds: float) -> None:
    """Ask for what is another client's, with live and test keys, by every route; and listen."""
    victim = stage.caller("victim")
    ids = _belongings(stage, victim)
    document = victim.call("GET", "/openapi.json").json
    routes = [(method.upper(), path) for method, path, _ in operations(document) if "{" in path]
    mallory = stage.caller("mallory")

    def act(caller: Caller, chance: random.Random) -> None:
        method, path = chance.choice(routes)
        address = re.sub(r"\{\w+\}", lambda match: chance.choice(ids), path)
        answer = caller.call(method, address, {} if method in ("POST", "PATCH") else None)
        if answer.status < 400:
            caller.ledger.fault(f"{answer.status} for {method} {path} of another client")
        found = caller.call("POST", f"{PUSH_REQUESTS}/receipts", {"ids": ids[:10]})
        if found.status == 200 and {item["status"] for item in found.json["items"]} != {404}:
            caller.ledger.fault("receipts of another client")
        for path in (PUSH_REQUESTS, "/callback-endpoints"):
            own = caller.call("GET", path)
            if own.status == 200 and {row["id"] for row in own.json["results"]} & set(ids):
                caller.ledger.fault(f"another client's things in {path}")

    # What is heard meanwhile is judged as well: the other client's names stand in it.
    listening = mallory.head("GET", f"{PUSH_REQUESTS}/events") + b"\r\n\r\n"
    with mallory.held(listening, 5):
        end = time.monotonic() + seconds
        for kind in ("live", "test"):
            crowd(2, (end - time.monotonic()) / 2, stage.caller("mallory", kind), act)


def _belongings(stage: Stage, victim: Caller) -> list[str]:
    body: dict[str, Any] = {
        "recipients": [f"{CANARY}-device"],
        "title": CANARY,
        "reference": CANARY,
    }
    items = [body] * 5 + [body | {"send_at": "2099-01-01T00:00:00Z"}] * 5
    tickets = victim.twin().call("POST", f"{PUSH_REQUESTS}/batch", {"items": items}).json["items"]
    ids = [ticket["push_request"]["id"] for ticket in tickets]
    url = f"http://127.0.0.1:{stage.http}/proven/good/{CANARY}"
    endpoint = victim.call("POST", "/callback-endpoints", {"url": url}).json
    # What it was told itself is no foreign data.
    victim.ledger.faults.clear()
    return [*ids, endpoint["id"]] if "id" in endpoint else ids
