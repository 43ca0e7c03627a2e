"""A third party: knows the URL of the API and its own key, and nothing else of the project."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

PATH = "/api/v1/push-requests"
ENDPOINTS = "/api/v1/callback-endpoints"
PAGE_SIZE = 100


class ApiError(Exception):
    """The API broke its promise; the message says what it answered."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API answered, and after how many seconds; ``content`` is parsed JSON."""

    status: int
    content: Any
    seconds: float


class Connection:
    """One keep-alive connection to the API; not to be shared by threads."""

    def __init__(self, url: str, key: str, *, timeout: float = 30) -> None:
        host = urlsplit(url).netloc
        self._http = HTTPConnection(host, timeout=timeout)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def call(self, method: str, target: str, content: Any = None) -> Answer:
        """Make one call and return the answer, whatever its status.

        :param target: a path, or a URL whose path is used.
        :raises ApiError: there was no answer, or it was not JSON.
        """
        parts = urlsplit(target)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        body = None if content is None else json.dumps(content)
        start = time.perf_counter()
        try:
            self._http.request(method, path, body, self._headers)
            response = self._http.getresponse()
            text = response.read()
            seconds = time.perf_counter() - start
            return Answer(response.status, json.loads(text) if text else None, seconds)
        except (OSError, HTTPException, ValueError) as error:
            self._http.close()
            raise ApiError(f"{method} {path}: {type(error).__name__}: {error}") from error

    def close(self) -> None:
        self._http.close()


@dataclass(slots=True)
class Submitted:
    """The result of submitting; ``accepted`` maps ids to the seconds until the answer."""

    accepted: dict[str, float] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def answered(self) -> int:
        return len(self.accepted) + len(self.refusals)


class ThirdParty:
    """Submits over several connections at once and follows the requests to their end.

    :param pause: called between two checks; raises an exception to end the wait, for example if a
        service has died.
    """

    def __init__(self, url: str, key: str, *, pause: Callable[[], None]) -> None:
        self.url = url
        self.key = key
        self._pause = pause

    def listen(self, url: str) -> str | None:
        """Register ``url`` as the only callback endpoint.

        :returns: the secret that callbacks are signed with; None if the service refuses to call
            this machine.
        """
        connection = Connection(self.url, self.key)
        try:
            for endpoint in connection.call("GET", ENDPOINTS).content["results"]:
                connection.call("DELETE", f"{ENDPOINTS}/{endpoint['id']}")
            answer = connection.call("POST", ENDPOINTS, {"url": url})
        finally:
            connection.close()
        return answer.content["secret"] if answer.status == 201 else None

    def submit(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        connections: int,
        deadline: float,
        progress: Callable[[int], None],
    ) -> Submitted:
        """Submit ``messages``, one per call, and return once all are answered.

        :param deadline: on the monotonic clock; messages not sent by then are left out.
        :param progress: called now and then with the number of answers so far.
        """
        submitted = Submitted()
        waiting = iter(messages)
        lock = threading.Lock()
        cancelled = threading.Event()

        def work() -> None:
            connection = Connection(self.url, self.key)
            while not cancelled.is_set() and time.monotonic() < deadline:
                with lock:
                    message = next(waiting, None)
                if message is None:
                    break
                try:
                    answer = connection.call("POST", PATH, message)
                except ApiError as error:
                    submitted.refusals.append(str(error))
                    continue
                if answer.status == 202:
                    submitted.accepted[answer.content["id"]] = answer.seconds
                else:
                    submitted.refusals.append(f"POST {PATH}: {answer.status} {answer.content}")
            connection.close()

        start = time.monotonic()
        threads = [threading.Thread(target=work, daemon=True) for _ in range(connections)]
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads):
                progress(submitted.answered)
                self._pause()
        finally:
            cancelled.set()
        submitted.seconds = time.monotonic() - start
        progress(submitted.answered)
        return submitted

    def follow(
        self,
        ids: Iterable[str],
        *,
        deadline: float,
        progress: Callable[[int], None],
    ) -> dict[str, dict[str, Any]]:
        """Poll until all requests are final or the deadline has passed; return them as they are.

        :param progress: called after each poll with the number of final ones.
        """
        wanted = set(ids)
        connection = Connection(self.url, self.key)
        while True:
            found = self._look(connection, wanted)
            final = sum(bool(resource["done"]) for resource in found.values())
            progress(final)
            if final == len(wanted) or time.monotonic() > deadline:
                connection.close()
                return found
            self._pause()

    def _look(self, connection: Connection, wanted: set[str]) -> dict[str, dict[str, Any]]:
        """Read the list, newest first, page by page until all ``wanted`` are found."""
        found: dict[str, dict[str, Any]] = {}
        target: str | None = f"{PATH}?page_size={PAGE_SIZE}"
        while target and len(found) < len(wanted):
            answer = connection.call("GET", target)
            if answer.status != 200:
                raise ApiError(f"GET {target}: {answer.status} {answer.content}")
            for resource in answer.content["results"]:
                if resource["id"] in wanted:
                    found[resource["id"]] = resource
            target = answer.content["next"]
        return found
