"""Requests as bytes."""

from __future__ import annotations

import pytest

from django_pushjobs.transport.requests import http_request


def test_a_request_has_its_head_and_its_body() -> None:
    assert http_request("/a?b=1", "example.org:8443", {"A": "1", "B": "é"}, b"{}") == (
        b"POST /a?b=1 HTTP/1.1\r\nHost: example.org:8443\r\nA: 1\r\nB: \xe9\r\n"
        b"Content-Length: 2\r\n\r\n{}"
    )
    assert http_request("/", "example.org", {}, b"", method="GET").startswith(b"GET / HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/", {"A": "1\r\nB: 2"}),
        ("/", {"A": "1\nB: 2"}),
        ("/", {"A": "1\rB: 2"}),
        ("/", {"A\r\nB": "1"}),
        ("/ HTTP/1.1\r\nA: 1", {}),
        ("/", {"A": "☃"}),
    ],
)
def test_nothing_can_smuggle_in_a_line(path: str, headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"line break|latin-1"):
        http_request(path, "example.org", headers, b"")
