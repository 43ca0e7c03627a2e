"""The example project as a web server sees it, with somebody who looks at how long the hub stands.

``GET /-/stood`` answers with what was seen since it was asked last.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from typing import Any

import gevent

from example_project.wsgi import application as project

#: Seconds between two looks.
EVERY = 0.002


class Watch:
    """A greenlet beside the calls.

    :ivar stood: the most seconds of CPU time that this thread used while the hub stood.
    :ivar began: seconds of CPU time that it had used when the watch began.
    :ivar turns: how often the greenlet ran.
    """

    def __init__(self) -> None:
        self.stood, self.turns = 0.0, 0
        self.began = self._used = 0.0
        self._greenlet: Any = None

    def start(self) -> None:
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._look)

    def _look(self) -> None:
        while True:
            self._used = time.thread_time()
            gevent.sleep(EVERY)
            self.turns += 1
            self._note()

    def _note(self) -> None:
        self.stood = max(self.stood, time.thread_time() - self._used)

    def report(self) -> bytes:
        self._note()
        now = time.thread_time()
        found = {"stood": self.stood, "used": now - self.began, "turns": self.turns}
        self.stood, self.turns, self.began = 0.0, 0, now
        self._used = now
        return json.dumps(found).encode()


watch = Watch()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    watch.start()
    if environ["PATH_INFO"] != "/-/stood":
        return project(environ, start_response)
    body = watch.report()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body]
