"""Calls drawn by chance: every route of the API, with methods, headers and bodies that are right,
wrong, malformed or malicious."""

from __future__ import annotations

import json
import random
import threading
from http.client import HTTPException
from typing import Any

from tests.support.operations import examples, operations

from .caller import MOUNT, Caller
from .crowds import crowd
from .stage import Stage

#: Callers at the same time.
CALLERS = 8
#: Calls that one of them makes before it asks whether there are enough.
PORTION = 20

_ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 10**12, 10**30, 1.5, 1e308, "", " ", "0", "\u202e", "\0", "\ud800"),
    *("é" * 300, "x" * 5_000, "a\nb"),
    *("../..", "%00", "'; --", "{{7*7}}", "${jndi:ldap://x}"),
    *([], {}, [1], [[]], {"a": {"b": [None]}}, {"user": 1}, {"tag": "all"}, {"address": "x"}),
    *("2030-01-31T12:00:00Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00Z"),
)
_BYTES = (
    *(b"", b"{", b"null", b"[]", b"\xff", b"\xef\xbb\xbf{}", b'{"a":1,"a":2}', b"NaN", b"-0"),
    *(b"[" * 1_000, b'{"items":[]}', b'{"items":[{}]}', b'{"ids":["x"]}', b"1e999", b'"'),
)
_HEADERS: dict[str, tuple[str, ...]] = {
    "Content-Type": ("text/plain", "application/json; charset=utf-16", "", "a/b", "multipart/x"),
    "Accept": ("text/html", "*/*;q=0", "application/json; indent=8", "x"),
    "Idempotency-Key": ("a", '"b"', '"c', "x" * 300, "é", '""', "a b", "?1"),
    "Prefer": ("wait=0", "wait=x", "respond-async", ",,,", 'wait="1"', "wait=-1"),
    "If-None-Match": ("*", '"x"', "W/", '"' * 50, "x" * 5_000),
    "Last-Event-ID": ("1-1", "x", "99999999999999999999-1", "0-0", "-"),
    "X-Request-ID": ("a", "é", "x" * 500, " "),
    "traceparent": ("00-" + "a" * 32 + "-" + "b" * 16 + "-01", "x", "00-0-0-0"),
    "Authorization": ("Bearer x", "Basic eDp5", "Bearer", "Bearer " + "x" * 5_000, "é"),
    "X-API-Key": ("x", "é", ""),
    "X-Forwarded-For": ("1.2.3.4", "x", "::1, 1.1.1.1"),
    "Range": ("bytes=0-1",),
    "X-HTTP-Method-Override": ("DELETE",),
}
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "NOPE")
_QUERIES = ("page_size=0", "page_size=x", "page_size=200", "cursor=x", "cursor=%00", "status=nope",
    "status=queued", "created_after=x", "x=1", "a" * 3_000, "%", "&&&", "reference=%F0%9F%8D%A3",
    "reference=%00", "page_size=1&page_size=2", "ordering=id", "format=api")  # fmt: skip


class Fuzz:
    """Draws calls.

    :param document: OpenAPI's.
    :param ids: of things that are there, and of some that are not.
    """

    def __init__(self, document: Any, seed: int) -> None:
        self.routes = [
            (method.upper(), path, list(examples(operation)))
            for method, path, operation in operations(document)
        ]
        self.seed = seed
        self.ids = ["00000000-0000-7000-8000-000000000000"]

    def call(self, caller: Caller, chance: random.Random) -> None:
        method, path, given = chance.choice(self.routes)
        while "{" in path:
            start, _, rest = path.partition("{")
            path = f"{start}{self._id(chance)}{rest.partition('}')[2]}"
        if chance.random() < 0.1:
            method = chance.choice(_METHODS)
        if chance.random() < 0.15:
            path += "?" + chance.choice(_QUERIES)
        names = chance.sample(sorted(_HEADERS), chance.choice((0, 0, 0, 1, 2)))
        headers = {name: chance.choice(_HEADERS[name]) for name in names}
        if "/events" in path and method == "GET":
            # A stream would not end.
            method = "HEAD"
        body = self._body(chance, given) if method not in ("GET", "HEAD") else None
        try:
            answer = caller.call(
                method, path, body, **{name.replace("-", "_"): v for name, v in headers.items()}
            )
        except (UnicodeError, ValueError):
            # Our own client refuses to send it.
            caller.close()
            return
        except HTTPException as error:
            caller.ledger.fault(f"no answer to {method} {MOUNT}{path}: {error!r}")
            return
        if answer.status in (200, 201, 202) and answer.body.startswith(b"{"):
            self._remember(answer.json, chance)

    def _id(self, chance: random.Random) -> str:
        if chance.random() < 0.05:
            return chance.choice(("x", "%00", "1", "..", "0" * 40, "%F0%9F%8D%A3"))
        return chance.choice(self.ids[-200:])

    def _remember(self, content: Any, chance: random.Random) -> None:
        if isinstance(content.get("id"), str):
            self.ids.append(content["id"])
        for item in (content.get("results") or content.get("items") or ())[:2]:
            found = item.get("push_request", item) if isinstance(item, dict) else {}
            if isinstance(found.get("id"), str) and chance.random() < 0.3:
                self.ids.append(found["id"])

    def _body(self, chance: random.Random, given: list[Any]) -> bytes:
        if chance.random() < 0.1 or not given:
            return chance.choice(_BYTES)
        body = json.loads(json.dumps(chance.choice(given)))
        for _ in range(chance.choice((0, 1, 1, 2, 5))):
            body = self._mutated(body, chance)
        data = json.dumps(body).encode()
        if chance.random() < 0.05 and data:
            place = chance.randrange(len(data))
            data = data[:place] + bytes([chance.randrange(256)]) + data[place + 1 :]
        return data

    def _mutated(self, value: Any, chance: random.Random) -> Any:
        """Return ``value`` with something in it that is different."""
        if isinstance(value, dict) and value and chance.random() < 0.85:
            name = chance.choice(sorted(value))
            match chance.randrange(8):
                case 0:
                    return {n: v for n, v in value.items() if n != name}
                case 1:
                    return {**value, chance.choice(("nope", "", "a/b~c", "\0")): None}
                case 2 if self.ids:
                    return {**value, name: chance.choice(self.ids)}
            return {**value, name: self._mutated(value[name], chance)}
        if isinstance(value, list) and value and chance.random() < 0.8:
            index = chance.randrange(len(value))
            changed = self._mutated(value[index], chance)
            return [*value[:index], changed, *value[index + 1 :]] * chance.choice((1, 1, 1, 3))
        return chance.choice(_ODD)


def fuzz(stage: Stage, seed: int, calls: int) -> None:
    """Make so many calls, with a live key and with a test key."""
    made, lock = 0, threading.Lock()
    drawn = Fuzz(stage.caller("fuzz").call("GET", "/openapi.json").json, seed)

    def act(caller: Caller, chance: random.Random) -> None:
        nonlocal made
        with lock:
            number = made
            made += PORTION
        if number >= calls:
            raise _Enough
        # Of its own, so that what is drawn does not depend on who is faster.
        own = random.Random(f"{seed}-{number}")
        for _ in range(PORTION):
            drawn.call(caller, own)

    halves = [
        threading.Thread(target=_until_enough, args=(stage.caller("fuzz", kind), act))
        for kind in ("live", "test")
    ]
    for half in halves:
        half.start()
    for half in halves:
        half.join()


class _Enough(Exception):
    """All calls are made."""


def _until_enough(caller: Caller, act: Any) -> None:
    try:
        crowd(CALLERS // 2, float("inf"), caller, act)
    except _Enough:
        return
    except Exception as error:
        caller.ledger.fault(f"the fuzz ended with {error!r}")
