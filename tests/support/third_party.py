"""A third party: an HTTP client with a key of its own."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from django.test import Client
from django.utils import timezone

from django_pushjobs.models import ApiClient, ApiKey

from .operations import operations as operations

MOUNT = "/api/v1"
PUSH_REQUESTS = f"{MOUNT}/push-requests"


class ThirdParty:
    """Calls the API with a key; ``path`` is below ``/api/v1/push-requests``.

    Answers are those of Django's test client. A failure of the service is an answer as well.
    """

    def __init__(self, name: str = "acme", *, live: ApiClient | None = None) -> None:
        """
        :param live: have a test key of this client.
        """
        self.client = ApiClient.objects.create(name=name) if live is None else live.for_tests()
        # Used a moment ago, so that no call has to remember that.
        self.key, self.secret = ApiKey.objects.issue(
            self.client, "tests", last_used_at=timezone.now()
        )
        self.http = Client(raise_request_exception=False)

    def get(self, path: str = "", query: Any = (), **headers: str) -> Any:
        url = path if path.startswith(("/", "http")) else _url(path)
        if query:
            url += "?" + urlencode(query, doseq=True)
        return self.http.get(url, headers=self._headers(headers))

    def post(self, path: str = "", body: Any = None, **headers: str) -> Any:
        """Send ``body`` as JSON, or unchanged if it is bytes."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.http.post(
            _url(path),
            data=b"" if body is None else data,
            content_type=headers.pop("content_type", "application/json"),
            headers=self._headers(headers),
        )

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Make any call; ``path`` is below ``/api/v1``."""
        return self.http.generic(
            method.upper(),
            f"{MOUNT}{path}",
            b"" if body is None else json.dumps(body).encode(),
            content_type="application/json",
            headers=self._headers(headers),
        )

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        named = {name.replace("_", "-"): value for name, value in more.items()}
        return {"Authorization": f"Bearer {self.secret}", **named}


def _url(path: str) -> str:
    return f"{PUSH_REQUESTS}/{path}" if path else PUSH_REQUESTS


def problem(response: Any) -> dict[str, Any]:
    """Return the problem in ``response``, once its form has been checked (RFC 9457)."""
    assert response.headers["Content-Type"] == "application/problem+json"
    members: dict[str, Any] = response.json()
    assert members["status"] == response.status_code
    assert members["type"]
    assert members["title"]
    assert members["detail"]
    assert members["instance"] == response.request["PATH_INFO"]
    assert members["request_id"] == response.headers["X-Request-ID"]
    return members


def faults(response: Any) -> set[tuple[str, str]]:
    """Return pointer (or parameter) and code of every error of a 400, which is valid UTF-8."""
    assert response.status_code == 400, response.content
    return {(e.get("pointer", e.get("parameter")), e["code"]) for e in problem(response)["errors"]}
