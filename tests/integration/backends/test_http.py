"""HTTPBackend against a real server that does what each test wants."""

from __future__ import annotations

import json
import resource
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import gevent
import gevent.pool
import pytest
import trustme
from rq.timeouts import JobTimeoutException

from django_pushjobs import __version__
from django_pushjobs.backends import Message, Outcome, OutcomeClass, Target
from django_pushjobs.backends.http import HTTPBackend
from tests.support.provider import Provider, close, http, provider, raw, reset, silence
from tests.support.sloppy import SLOPPY

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
MESSAGE = Message(
    request_id=uuid.uuid4(),
    title="Grüße",
    body="secret body",
    data={"order": 17},
    options={"sound": "bell"},
    priority="high",
    collapse_key="order-17",
    expires_at=datetime(2100, 1, 2, 3, 4, 5, tzinfo=UTC),
    traceparent=TRACE,
)
TARGET = Target(delivery_id=uuid.uuid4(), address="secret-address")


@pytest.fixture
def gateway() -> Iterator[Provider]:
    with provider() as running:
        yield running


@pytest.fixture
def backend(gateway: Provider) -> Iterator[HTTPBackend]:
    # Long enough that only a hang comes near it, and one connection: one that is not given
    # back stops the next push.
    backend = HTTPBackend(alias="http", url=gateway.url, timeout=20, connections=1)
    yield backend
    backend.close()


@pytest.fixture
def idempotent(gateway: Provider) -> Iterator[HTTPBackend]:
    """Pushes to a gateway that recognizes a message that comes twice."""
    backend = HTTPBackend(alias="http", url=gateway.url, timeout=20, connections=1, idempotent=True)
    yield backend
    backend.close()


def is_usable(backend: HTTPBackend) -> bool:
    """The connection was given back: the next push gets one."""
    return backend.push(MESSAGE, TARGET).kind is OutcomeClass.OK


def test_the_request_is_the_documented_one(gateway: Provider, backend: HTTPBackend) -> None:
    assert backend.push(MESSAGE, TARGET).kind is OutcomeClass.OK
    (request,) = gateway.requests
    assert request.line == "POST /messages HTTP/1.1"
    assert request.headers == {
        "host": gateway.url.split("/")[2],
        "user-agent": f"django-pushjobs/{__version__}",
        "content-type": "application/json",
        "content-length": str(len(request.body)),
        "idempotency-key": f'"{TARGET.delivery_id}"',
        "traceparent": TRACE,
    }
    assert request.json == {
        "id": str(TARGET.delivery_id),
        "request_id": str(MESSAGE.request_id),
        "to": "secret-address",
        "title": "Grüße",
        "body": "secret body",
        "data": {"order": 17},
        "options": {"sound": "bell"},
        "priority": "high",
        "collapse_key": "order-17",
        "expires_at": "2100-01-02T03:04:05+00:00",
    }


def test_headers_of_the_settings_are_sent_with_path_and_query(gateway: Provider) -> None:
    backend = HTTPBackend(
        alias="http",
        url=gateway.url + "?tenant=a%20b",
        headers={"Authorization": "Bearer key", "user-agent": "mine"},
    )
    backend.push(MESSAGE, TARGET)
    backend.close()
    (request,) = gateway.requests
    assert request.line == "POST /messages?tenant=a%20b HTTP/1.1"
    assert request.headers["authorization"] == "Bearer key"
    assert request.headers["user-agent"] == "mine"


@pytest.mark.parametrize("trace", ["", "00-nonsense", f"{TRACE}\r\nX-Injected: 1", f"{TRACE}\n"])
def test_what_is_no_trace_context_becomes_no_header(
    gateway: Provider, backend: HTTPBackend, trace: str
) -> None:
    backend.push(replace(MESSAGE, traceparent=trace), TARGET)
    (request,) = gateway.requests
    assert "traceparent" not in request.headers
    assert "x-injected" not in request.headers


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, OutcomeClass.OK),
        (201, OutcomeClass.OK),
        (202, OutcomeClass.OK),
        (204, OutcomeClass.OK),
        (301, OutcomeClass.FAIL),
        (302, OutcomeClass.FAIL),
        (307, OutcomeClass.FAIL),
        (308, OutcomeClass.FAIL),
        (400, OutcomeClass.FAIL),
        (401, OutcomeClass.CONFIG),
        (403, OutcomeClass.CONFIG),
        (404, OutcomeClass.FAIL),
        (408, OutcomeClass.RETRY),
        (409, OutcomeClass.RETRY),
        (410, OutcomeClass.DROP),
        (413, OutcomeClass.FAIL),
        (422, OutcomeClass.FAIL),
        (425, OutcomeClass.RETRY),
        (429, OutcomeClass.THROTTLE),
        (500, OutcomeClass.RETRY),
        (502, OutcomeClass.RETRY),
        (503, OutcomeClass.RETRY),
        (599, OutcomeClass.RETRY),
    ],
)
def test_what_a_status_means(
    gateway: Provider, backend: HTTPBackend, status: int, kind: OutcomeClass
) -> None:
    gateway.script(http(status, Location=gateway.url + "/elsewhere"))
    outcome = backend.push(MESSAGE, TARGET)
    assert outcome.kind is kind
    assert outcome.code == ("" if kind is OutcomeClass.OK else f"http_{status}")
    assert len(gateway.requests) == 1  # a redirect is not followed
    assert is_usable(backend)
    assert gateway.connections == 1


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_in_seconds(gateway: Provider, backend: HTTPBackend, status: int) -> None:
    gateway.script(http(status, Retry_After="120"))
    assert backend.push(MESSAGE, TARGET).retry_after == 120


def test_retry_after_as_a_date(gateway: Provider, backend: HTTPBackend) -> None:
    date = datetime.now(UTC) + timedelta(hours=1)
    gateway.script(http(503, Retry_After=format_datetime(date, usegmt=True)))
    wait = backend.push(MESSAGE, TARGET).retry_after
    assert wait is not None
    assert 0 < wait <= 3600


def test_retry_after_means_nothing_with_other_answers(
    gateway: Provider, backend: HTTPBackend
) -> None:
    gateway.script(http(404, Retry_After="120"), http(503, Retry_After="soon"))
    assert backend.push(MESSAGE, TARGET).retry_after is None
    assert backend.push(MESSAGE, TARGET).retry_after is None


@pytest.mark.parametrize(
    ("body", "provider_id"),
    [
        (b'{"id": "abc-1"}', "abc-1"),
        (b'{"id": 42}', "42"),
        (b'{"id": true}', ""),
        (b'{"id": null}', ""),
        (b'{"id": ""}', ""),
        (b'{"id": "%s"}' % (b"x" * 256), ""),
        (b'{"id": "a\\u0000b"}', ""),
        (b'{"name": "x"}', ""),
        (b'["id"]', ""),
        (b"", ""),
        (b"<html>", ""),
        (b"\xff\xfe\xff", ""),
        (b"[" * 60_000, ""),
        (b'{"id": %s}' % (b"9" * 5_000), ""),
    ],
)
def test_the_id_of_an_answer_is_kept_if_it_is_one(
    gateway: Provider, backend: HTTPBackend, body: bytes, provider_id: str
) -> None:
    gateway.script(http(200, body))
    outcome = backend.push(MESSAGE, TARGET)
    assert outcome == Outcome(kind=OutcomeClass.OK, provider_id=provider_id)


def test_no_outcome_repeats_the_payload_or_the_address(
    gateway: Provider, backend: HTTPBackend
) -> None:
    echo = json.dumps({"error": "secret-address: secret body"}).encode()
    gateway.script(*(http(status, echo) for status in (400, 401, 410, 429, 500)))
    for _ in range(5):
        assert "secret" not in repr(backend.push(MESSAGE, TARGET))


def test_connections_are_kept_alive(gateway: Provider, backend: HTTPBackend) -> None:
    chunked = raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
    interim = raw(b"HTTP/1.1 103 Early Hints\r\n\r\n", then=http(200))
    gateway.script(http(204), chunked, http(500, b"x" * 10_000), interim)
    for _ in range(10):
        backend.push(MESSAGE, TARGET)
    assert gateway.connections == 1


def test_an_idle_connection_that_was_closed_is_not_used(
    gateway: Provider, backend: HTTPBackend
) -> None:
    gateway.script(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", then=close))
    assert is_usable(backend)
    gateway.wait_for_close(1)
    assert is_usable(backend)


def test_a_connection_that_dies_under_a_push_is_not_resent_by_us(
    gateway: Provider, backend: HTTPBackend
) -> None:
    """The gateway may have taken the message: ``on_unknown`` decides, and it is an attempt."""
    gateway.script(http(200), reset)
    assert is_usable(backend)
    outcome = backend.push(MESSAGE, TARGET)
    assert (outcome.kind, outcome.code) == (OutcomeClass.RECONNECT, "connection_lost")
    assert outcome.unknown
    assert len(gateway.requests) == 2
    assert is_usable(backend)


def test_a_connection_that_dies_under_an_idempotent_push_is_replaced_once(
    gateway: Provider, idempotent: HTTPBackend
) -> None:
    gateway.script(http(200), reset, http(200), reset, reset)
    assert is_usable(idempotent)
    assert is_usable(idempotent)
    assert len({request.json["id"] for request in gateway.requests}) == 1
    outcome = idempotent.push(MESSAGE, TARGET)
    assert (outcome.kind, outcome.code) == (OutcomeClass.RECONNECT, "connection_lost")
    assert len(gateway.requests) == 5
    assert is_usable(idempotent)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (close, "connection_lost"),
        (reset, "connection_lost"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-", then=close), "bad_answer"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-", then=reset), "connection_lost"),
        (raw(b"SSH-2.0-OpenSSH_9.6\r\n", then=close), "bad_answer"),
        (raw(b"\x00\xff" * 5_000, then=close), "bad_answer"),
    ],
)
def test_no_answer_is_a_reason_to_reconnect(
    gateway: Provider, backend: HTTPBackend, answer: Any, code: str
) -> None:
    gateway.script(answer)
    outcome = backend.push(MESSAGE, TARGET)
    assert (outcome.kind, outcome.code) == (OutcomeClass.RECONNECT, code)
    assert is_usable(backend)


@pytest.mark.parametrize("end", [close, reset, silence])
def test_the_headers_decide_where_the_body_is_cut_off(gateway: Provider, end: Any) -> None:
    backend = HTTPBackend(alias="http", url=gateway.url, timeout=1, connections=1)
    for status in (b"202 Accepted", b"503 Busy"):
        head = b"HTTP/1.1 %s\r\nContent-Length: 100\r\nRetry-After: 7\r\n\r\n" % status
        gateway.script(raw(head + b'{"id": ', then=end))
    assert backend.push(MESSAGE, TARGET) == Outcome(kind=OutcomeClass.OK)
    assert backend.push(MESSAGE, TARGET).retry_after == 7
    assert is_usable(backend)
    backend.close()


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("answer", SLOPPY)
def test_a_status_stands_whatever_follows_it(
    gateway: Provider, idempotent: HTTPBackend, answer: bytes, split: bool
) -> None:
    """Also if what follows comes later, when the next push may have the connection."""
    head, end, rest = (b"HTTP/1.1 " + answer).partition(b"\r\n\r\n")

    def late(connection: socket.socket) -> None:
        time.sleep(0.02 if split else 0)
        connection.sendall(rest)

    for _ in range(5):
        gateway.script(raw(head + end, then=late))
    for _ in range(5):
        assert idempotent.push(MESSAGE, TARGET).kind is OutcomeClass.OK
    # Once, what was left of an earlier answer may have come in place of an answer.
    assert len(gateway.requests) <= 5 + (b"Content-Length" not in head)


def test_what_a_sloppy_answer_says_is_heard(gateway: Provider, backend: HTTPBackend) -> None:
    both = b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n"
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"
    head = interim + b"HTTP/1.1 429 Busy\r\n" + both
    gateway.script(raw(head, then=raw(b"Retry-After: 7\r\n\r\n2\r\n{}\r\n", then=silence)))
    outcome = backend.push(MESSAGE, TARGET)
    assert (outcome.kind, outcome.retry_after) == (OutcomeClass.THROTTLE, 7)
    assert is_usable(backend)


def test_a_gateway_that_never_answers_times_out(gateway: Provider) -> None:
    backend = HTTPBackend(alias="http", url=gateway.url, timeout=0.2, connections=1)
    gateway.script(silence)
    outcome = backend.push(MESSAGE, TARGET)
    assert (outcome.kind, outcome.code) == (OutcomeClass.RETRY, "timeout")
    backend.timeout = 20
    assert is_usable(backend)
    backend.close()


def test_a_gateway_that_answers_byte_by_byte_times_out(gateway: Provider) -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Filler: ")
        while True:
            connection.sendall(b"x")
            time.sleep(0.02)

    backend = HTTPBackend(alias="http", url=gateway.url, timeout=0.3, connections=1)
    gateway.script(drip)
    outcome = backend.push(MESSAGE, TARGET)
    assert (outcome.kind, outcome.code) == (OutcomeClass.RETRY, "timeout")
    backend.close()


def test_a_host_that_does_not_take_connections_times_out() -> None:
    # A backlog that is full: the handshake of further connections is left without an answer.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        backend = HTTPBackend(
            alias="http", url=f"http://127.0.0.1:{port}/", connect_timeout=0.2, timeout=20
        )
        outcome = backend.push(MESSAGE, TARGET)
        assert (outcome.kind, outcome.code) == (OutcomeClass.RETRY, "timeout")
        for filler in fillers:
            filler.close()


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/", "https://127.0.0.1:{port}/"])
def test_a_port_where_nobody_listens_is_unreachable(url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    outcome = HTTPBackend(alias="http", url=url.format(port=port)).push(MESSAGE, TARGET)
    assert (outcome.kind, outcome.code) == (OutcomeClass.RECONNECT, "unreachable")


def test_a_huge_answer_is_not_read_to_its_end(gateway: Provider, backend: HTTPBackend) -> None:
    sent = 0

    def flood(connection: socket.socket) -> None:
        nonlocal sent
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
            sent += 1

    gateway.script(flood)
    assert backend.push(MESSAGE, TARGET) == Outcome(kind=OutcomeClass.OK)
    assert is_usable(backend)
    assert gateway.connections == 2


def test_a_refusal_before_the_whole_body_was_read_is_heard(gateway: Provider) -> None:
    """The gateway looks at the head only, answers 413 and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def refuse() -> None:
            connection, _ = listener.accept()
            connection.recv(1024)
            connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):
                pass
            connection.close()

        thread = threading.Thread(target=refuse)
        thread.start()
        backend = HTTPBackend(alias="http", url=f"http://127.0.0.1:{port}/")
        outcome = backend.push(replace(MESSAGE, body="x" * 1_000_000), TARGET)
        backend.close()
        thread.join(10)
    assert (outcome.kind, outcome.code) == (OutcomeClass.FAIL, "http_413")


class Interrupt(gevent.Timeout):
    """Somebody else's timeout."""


@pytest.mark.parametrize(
    "interrupt", [gevent.GreenletExit(), JobTimeoutException("too long"), Interrupt()]
)
def test_an_interrupt_while_waiting_for_the_answer_passes(
    gateway: Provider, backend: HTTPBackend, interrupt: BaseException
) -> None:
    gateway.script(silence)
    raised: list[BaseException] = []

    def push() -> None:
        try:
            backend.push(MESSAGE, TARGET)
        except BaseException as error:
            raised.append(error)

    greenlet = gevent.spawn(push)
    while not gateway.requests:
        gevent.sleep(0.005)
    greenlet.kill(interrupt, block=True, timeout=10)
    assert raised == [interrupt]
    assert is_usable(backend)


def test_an_interrupt_while_sending_passes(backend: HTTPBackend, gateway: Provider) -> None:
    """A peer that does not read: the send fills its buffers and waits."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        stuck = HTTPBackend(alias="http", url=url, timeout=20, connections=1)
        huge = replace(MESSAGE, body="x" * 30_000_000)
        for _ in range(2):  # the second finds that the first gave its connection back
            with pytest.raises(Interrupt), Interrupt(0.2):
                stuck.push(huge, TARGET)
        stuck.timeout = 0.2
        assert stuck.push(huge, TARGET).code == "timeout"
        stuck.close()


def test_a_push_that_finds_no_free_connection_times_out(gateway: Provider) -> None:
    backend = HTTPBackend(alias="http", url=gateway.url, timeout=20, connections=1)
    gateway.script(silence)
    first = gevent.spawn(backend.push, MESSAGE, TARGET)
    while not gateway.requests:
        gevent.sleep(0.005)
    backend.timeout = 0.1
    assert backend.push(MESSAGE, TARGET).code == "timeout"
    assert len(gateway.requests) == 1
    first.kill(block=True, timeout=10)
    backend.timeout = 20
    assert is_usable(backend)
    backend.close()


def test_a_hundred_greenlets_push_at_once(gateway: Provider) -> None:
    """All of them are in flight before the first is answered."""
    everybody = threading.Barrier(100)

    def together(connection: socket.socket) -> None:
        everybody.wait(timeout=20)
        http(200)(connection)

    gateway.script(*[together] * 100)
    backend = HTTPBackend(alias="http", url=gateway.url, timeout=30)
    pool = gevent.pool.Pool(100)
    targets = [Target(delivery_id=uuid.uuid4(), address="a") for _ in range(400)]
    outcomes = pool.map(lambda target: backend.push(MESSAGE, target), targets)
    assert {outcome.kind for outcome in outcomes} == {OutcomeClass.OK}
    assert gateway.connections == 100
    assert {r.json["id"] for r in gateway.requests} == {str(t.delivery_id) for t in targets}
    backend.close()


def test_connections_are_kept_alive_beyond_1024_descriptors(
    gateway: Provider, backend: HTTPBackend
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2_000:
        pytest.skip("this machine allows no more descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2_000), hard))
    with socket.socket() as original:
        copies = [original.dup() for _ in range(1_100)]
        try:
            assert is_usable(backend)
            assert is_usable(backend)
        finally:
            for one in copies:
                one.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert gateway.connections == 1


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def server_context(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def test_tls_with_an_authority_of_ones_own(authority: trustme.CA, ca_file: str) -> None:
    with provider(tls=server_context(authority, "127.0.0.1")) as gateway:
        backend = HTTPBackend(alias="http", url=gateway.url, ca_file=ca_file, timeout=20)
        for _ in range(3):
            assert is_usable(backend)
        assert gateway.connections == 1
        gateway.script(silence)
        backend.timeout = 0.2
        assert backend.push(MESSAGE, TARGET).code == "timeout"
        backend.close()


def test_tls_does_not_trust_a_stranger(authority: trustme.CA) -> None:
    with provider(tls=server_context(authority, "127.0.0.1")) as gateway:
        outcome = HTTPBackend(alias="http", url=gateway.url).push(MESSAGE, TARGET)
        assert (outcome.kind, outcome.code) == (OutcomeClass.CONFIG, "bad_certificate")
        assert gateway.requests == []


def test_tls_does_not_trust_another_host_name(authority: trustme.CA, ca_file: str) -> None:
    with provider(tls=server_context(authority, "gateway.example.org")) as gateway:
        outcome = HTTPBackend(alias="http", url=gateway.url, ca_file=ca_file).push(MESSAGE, TARGET)
        assert (outcome.kind, outcome.code) == (OutcomeClass.CONFIG, "bad_certificate")
        assert gateway.requests == []


def test_a_plain_server_behind_an_https_url_is_unreachable(gateway: Provider) -> None:
    url = gateway.url.replace("http:", "https:")
    outcome = HTTPBackend(alias="http", url=url, timeout=1).push(MESSAGE, TARGET)
    assert outcome.is_transient
    assert gateway.requests == [] or "messages" not in gateway.requests[0].line


def test_a_server_that_does_not_speak_tls_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                connection.recv(65_536)

        thread = threading.Thread(target=answer)
        thread.start()
        outcome = HTTPBackend(alias="http", url=f"https://127.0.0.1:{port}/").push(MESSAGE, TARGET)
        thread.join(10)
    assert (outcome.kind, outcome.code) == (OutcomeClass.RECONNECT, "unreachable")
    assert "TLS" in outcome.detail
    assert not outcome.unknown
