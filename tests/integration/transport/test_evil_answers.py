"""Answers that never end, at full speed: what becomes of the process that asked for them."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support import evil
from tests.support.enduring import Found

#: Seconds of CPU time that the hub may stand, and bytes that the process may grow by.
MAX_STOOD = 0.1
MAX_GROWN = 20_000_000

#: HTTP/1.1 answers whose headers do not end. In all others, the status has come before the evil.
UNDECIDED = {
    *("a-header-value", "a-header-name", "small-headers", "folded-lines", "a-reason"),
    *("interim-answers", "blank-lines", "white-space", "nothing-but-nul", "a-content-length"),
}
#: HTTP/2 answers that begin with a status.
DECIDED = {"empty-data", "padding", "data", "small-data", "trailers"}


class Subject:
    """A process that asks for evil answers."""

    def __init__(self, *arguments: str) -> None:
        self.arguments = arguments
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.enduring", *self.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()

    def ask(self, protocol: str, name: str, count: int = 1) -> Found:
        assert self.process.stdin is not None
        print(protocol, name, count, file=self.process.stdin, flush=True)
        answer = self.process.stdout
        assert answer is not None
        line = answer.readline() if select.select([answer], [], [], 60)[0] else ""
        if not line:
            self.end()
            self.start()
            pytest.fail("the process is frozen or has ended")
        found = Found(**json.loads(line))
        print(found)
        return found


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    ca_file = tmp_path_factory.mktemp("evil") / "ca.pem"
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.evil", str(ca_file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        subject = Subject(*server.stdout.readline().split(), str(ca_file))
        try:
            yield subject
        finally:
            subject.end()
            server.kill()


def check(found: Found, answer: int | str) -> None:
    assert set(found.answers) == {answer}
    # What each may do before its first turn adds up.
    assert found.stood < MAX_STOOD * (1 if len(found.answers) == 1 else 3)
    assert found.grown < MAX_GROWN
    assert found.others
    assert found.took < 15


@pytest.mark.parametrize("name", evil.HTTP1)
def test_http(subject: Subject, name: str) -> None:
    status = 204 if name == "a-body-of-a-204" else 200
    check(subject.ask("http", name), "bad_answer" if name in UNDECIDED else status)


@pytest.mark.parametrize("name", ["trailers", "a-trailer-value", "a-header-value"])
def test_http_over_tls(subject: Subject, name: str) -> None:
    check(subject.ask("https", name), "bad_answer" if name in UNDECIDED else 200)


@pytest.mark.parametrize("name", evil.TLS)
def test_tls(subject: Subject, name: str) -> None:
    """Records that OpenSSL would handle without ever coming back."""
    answer = 200 if name == "records-of-one-byte" else "connection_lost"
    check(subject.ask("https", name), answer)


def test_a_handshake(subject: Subject) -> None:
    check(subject.ask("handshake", "warnings"), "tls_failed")


@pytest.mark.parametrize("name", evil.HTTP2)
def test_http2(subject: Subject, name: str) -> None:
    if name == "resets":
        answer: int | str = "stream_reset"
    else:
        answer = 200 if name in DECIDED else "connection_lost"
    check(subject.ask("http2", name), answer)


@pytest.mark.parametrize(
    ("protocol", "name", "answer"),
    [
        ("http", "small-headers", "bad_answer"),
        ("https", "trailers", 200),
        ("https", "session-tickets", "connection_lost"),
        ("http2", "pings", "connection_lost"),
        ("http2", "interim-answers", "connection_lost"),
    ],
)
def test_twenty_at_once(subject: Subject, protocol: str, name: str, answer: int | str) -> None:
    check(subject.ask(protocol, name, 20), answer)


@pytest.mark.parametrize("protocol", ["http", "https", "http2"])
def test_a_body_that_drips_is_not_waited_for(subject: Subject, protocol: str) -> None:
    check(subject.ask(protocol, "drip"), 200)
