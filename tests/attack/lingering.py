"""Attacks by a client that has time: streams, calls that wait, and bodies that never come."""

from __future__ import annotations

import time
from contextlib import ExitStack

from .caller import PUSH_REQUESTS
from .stage import Stage
from .storms import LATER

#: Connections of each kind.
MANY = 1_000


def streams(stage: Stage, seconds: float) -> None:
    """Event streams by the thousand, and HEADs for them."""
    mallory = stage.caller("mallory")
    end = time.monotonic() + seconds
    one = mallory.call("POST", PUSH_REQUESTS, LATER).json["id"]
    with ExitStack() as stack:
        for path in (f"{PUSH_REQUESTS}/events", f"{PUSH_REQUESTS}/{one}/events"):
            stack.enter_context(mallory.held(mallory.head("GET", path) + b"\r\n\r\n", MANY))
        while time.monotonic() < end:
            for path in (f"{PUSH_REQUESTS}/events", f"{PUSH_REQUESTS}/{one}/events"):
                mallory.call("HEAD", path)
                mallory.call("HEAD", path, Last_Event_ID="1-1")
            # Each is told of it.
            mallory.call("POST", PUSH_REQUESTS, LATER)
            time.sleep(0.05)


def waiting(stage: Stage, seconds: float) -> None:
    """Calls by the thousand that prefer to wait for an end that does not come."""
    mallory = stage.caller("mallory")
    one = mallory.call("POST", PUSH_REQUESTS, LATER).json["id"]
    head = mallory.head("GET", f"{PUSH_REQUESTS}/{one}", Prefer="wait=600")
    with mallory.held(head + b"\r\n\r\n", MANY):
        time.sleep(seconds)
        mallory.call("POST", f"{PUSH_REQUESTS}/{one}/cancel")


def slow_bodies(stage: Stage, seconds: float) -> None:
    """Heads and bodies that come byte by byte, by the thousand."""
    mallory = stage.caller("mallory")
    end = time.monotonic() + seconds
    head = mallory.head("POST", PUSH_REQUESTS, Content_Length="100000")
    with mallory.held(head, MANY) as heads, mallory.held(head + b"\r\n\r\n{", MANY) as bodies:
        while time.monotonic() < end:
            for lines, piece in ((heads, b"\r\nX-More: 1"), (bodies, b" ")):
                for line in lines:
                    try:
                        line.send(piece)
                    except OSError:
                        continue
            time.sleep(0.5)
