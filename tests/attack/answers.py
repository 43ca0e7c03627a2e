"""Attacks by those whom we ask: push services, endpoints of callbacks, a provider."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle

from tests.support import evil

from .caller import PUSH_REQUESTS, Caller
from .resolver import SILENT
from .stage import Stage
from .subscriptions import subscription

#: Seconds between two volleys.
PAUSE = 0.5
#: Endpoints that a client may have.
ENDPOINTS = 20


def evil_answers(stage: Stage, seconds: float) -> None:
    """All the answers that never end: by push services, by endpoints, and over HTTP/2."""
    names = [*evil.HTTP1, *evil.TLS]
    mallory, frames = stage.caller("mallory"), cycle(evil.HTTP2)
    urls = _urls(stage, evil.HTTP1)
    for _ in _volleys(seconds):
        _submit(mallory, *(_to([subscription(stage.https, name)]) for name in names * 2))
        with _endpoints(mallory, [next(urls) for _ in range(ENDPOINTS)]) as ids:
            # They are challenged a second after they were registered.
            time.sleep(3 * PAUSE)
            for endpoint in ids:
                mallory.call("POST", f"/callback-endpoints/{endpoint}/test")
            _submit(
                mallory,
                *(
                    {"backend": "apns", "recipients": ["ab" * 32], "title": f"name={name};"}
                    for name, _ in zip(frames, range(4), strict=False)
                ),
            )
            time.sleep(PAUSE)


def lame_answers(stage: Stage, seconds: float) -> None:
    """Answers that drip, that never come, that lead elsewhere, and bodies without an end."""
    mallory = stage.caller("mallory")
    names = ("drip", "silence", "redirect", "a-body-without-a-length")
    urls = _urls(stage, names)
    for _ in _volleys(seconds):
        _submit(mallory, *(_to([subscription(stage.https, name)]) for name in names * 10))
        with _endpoints(mallory, [next(urls) for _ in range(ENDPOINTS)]) as ids:
            # They are challenged a second after they were registered.
            time.sleep(3 * PAUSE)
            for endpoint in ids:
                mallory.call("POST", f"/callback-endpoints/{endpoint}/test")
            time.sleep(PAUSE)


def dead_wave(stage: Stage, seconds: float) -> None:
    """Devices by the hundred whose push service says that they are gone."""
    mallory = stage.caller("mallory")
    for _ in _volleys(seconds):
        dead = [subscription(stage.https, "gone") for _ in range(500)]
        _submit(mallory, *(_to(dead[i : i + 50]) for i in range(0, 500, 50)))


def silent_names(stage: Stage, seconds: float) -> None:
    """Push services and endpoints at hosts whose name servers never answer."""
    mallory, number = stage.caller("mallory"), 0
    for _ in _volleys(seconds):
        hosts = [f"h{number + i}.{SILENT}" for i in range(40)]
        number += 40
        _submit(mallory, *(_to([subscription(443, "push", host)]) for host in hosts))
        mallory.call("POST", "/callback-endpoints", {"url": f"https://{hosts[0]}/"})


def _urls(stage: Stage, names: Iterable[str]) -> Iterator[str]:
    """Yield URLs for endpoints: in turn one that is proven first, and one that never is."""
    base = f"http://127.0.0.1:{stage.http}"
    return cycle(f"{base}{kind}/{name}" for name in names for kind in ("/proven", ""))


def _volleys(seconds: float) -> Iterator[int]:
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        yield number
        number += 1
        time.sleep(PAUSE)


def _to(recipients: Sequence[str]) -> dict[str, object]:
    return {"backend": "webpush", "recipients": recipients, "title": "Hello", "ttl": 30}


def _submit(caller: Caller, *items: object) -> None:
    caller.call("POST", f"{PUSH_REQUESTS}/batch", {"items": items})


class _endpoints:  # noqa: N801  (a context manager)
    """Endpoints of a client at these URLs, instead of those that it had."""

    def __init__(self, caller: Caller, urls: Sequence[str]) -> None:
        self.caller = caller.twin()
        self.ids = list[str]()
        for url in urls:
            answer = self.caller.call("POST", "/callback-endpoints", {"url": url})
            if answer.status == 201:
                self.ids.append(answer.json["id"])

    def __enter__(self) -> list[str]:
        return self.ids

    def __exit__(self, *error: object) -> None:
        for endpoint in self.ids:
            self.caller.call("DELETE", f"/callback-endpoints/{endpoint}")
        self.caller.close()
