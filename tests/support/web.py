"""The example project behind a web server with greenlets, and a third party that calls it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

from .stack import Stack

PATH = "/api/v1/push-requests"
_ISSUE = """
from django_pushjobs.models import ApiClient, ApiKey
client, _ = ApiClient.objects.get_or_create(name={name!r})
print(ApiKey.objects.issue(client, "tests")[1])
"""


class Web:
    """A third party of one web process.

    :ivar pid: of a process that answers.
    """

    def __init__(
        self,
        stack: Stack,
        *options: str,
        name: str = "acme",
        application: str = "example_project.wsgi",
        **environment: str,
    ) -> None:
        self.secret = stack.run(_ISSUE.format(name=name))
        self.program = stack.python(
            *("-m", "gunicorn", application, "--bind=127.0.0.1:0", "--workers=1"),
            *("--worker-class=gevent", "--worker-connections=5000", *options),
            **environment,
        )
        (self.url,) = self.program.says(r"Listening at: (http://\S+)")
        self.program.says("Booting worker with pid")
        self.address = urlsplit(self.url).netloc
        self.pid = self.program.children()[0]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secret}", "Content-Type": "application/json"}

    def call(self, method: str, path: str = "", body: Any = None, **headers: str) -> Answer:
        """Make one call; ``path`` is below ``push-requests``."""
        with self.open(method, path, body, **headers) as response:
            return Answer(response.status, dict(response.headers), response.read())

    @contextmanager
    def open(
        self, method: str, path: str = "", body: Any = None, **headers: str
    ) -> Iterator[HTTPResponse]:
        """Make one call and lend the response, whose body may not have an end."""
        connection = HTTPConnection(self.address, timeout=60)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        data = None if body is None else json.dumps(body)
        try:
            connection.request(method, PATH + path, data, self.headers | named)
            yield connection.getresponse()
        finally:
            connection.close()


class Answer:
    """What came back."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def events(response: HTTPResponse) -> Iterator[dict[str, Any]]:
    """Yield the events of a stream: ``id``, ``event`` and ``data``, which is JSON."""
    event: dict[str, Any] = {}
    for raw in response:
        line = raw.decode().rstrip("\n")
        if line.startswith(":"):
            continue
        if not line:
            if "data" in event:
                yield event
            event = {"id": event["id"]} if "id" in event else {}
            continue
        name, _, value = line.partition(": ")
        event[name] = json.loads(value) if name == "data" else value
