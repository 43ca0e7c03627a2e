"""Tunnels through a forward proxy, over real sockets."""

from __future__ import annotations

import base64
import socket
import ssl
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import gevent.pool
import pytest
from gevent import Timeout

from django_pushjobs.exceptions import DestinationRefused
from django_pushjobs.transport.connections import Connections
from django_pushjobs.transport.exchanges import Reply, exchange
from django_pushjobs.transport.http2_errors import HTTP2Error
from django_pushjobs.transport.multiplexing import Multiplexer
from django_pushjobs.transport.origins import Origins
from django_pushjobs.transport.proxy import MAX_HEAD
from django_pushjobs.transport.requests import http_request
from tests.support.apns import TOPIC, Peer, apns
from tests.support.fcm import tls
from tests.support.provider import Answer, Provider, close, provider, raw, reset, silence
from tests.support.proxy import ForwardProxy, forward_proxy

LOGIN = ("Zoë", "pass:w@rd/%")
USER_INFO = "Zo%C3%AB:pass%3Aw%40rd%2F%25"

GO_ON = b"HTTP/1.1 200 Connection established\r\n\r\n"


@pytest.fixture
def proxy() -> Iterator[ForwardProxy]:
    with forward_proxy(LOGIN) as running:
        yield running


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    return tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def gateway() -> Iterator[Provider]:
    with provider() as running:
        yield running


@pytest.fixture
def secure(certificate: tuple[ssl.SSLContext, str]) -> Iterator[Provider]:
    with provider(tls=certificate[0]) as running:
        yield running


@pytest.fixture
def through(proxy: ForwardProxy) -> Iterator[Callable[..., Connections]]:
    """Makes connections through the proxy."""
    made: list[Connections] = []

    def make(url: str, **options: Any) -> Connections:
        settings: dict[str, Any] = {"size": 50, "connect_timeout": 5}
        settings |= {"proxy": proxy.url_for(USER_INFO)}
        made.append(Connections(url, **settings | options))
        return made[-1]

    yield make
    for connections in made:
        connections.close()


def port_of(url: str) -> int:
    return int(url.rsplit(":", 1)[1].split("/")[0])


def at(url: str, host: str) -> str:
    return url.replace("127.0.0.1", host)


def post(connections: Connections, **options: Any) -> Reply:
    settings: dict[str, Any] = {"timeout": 15, "max_response": 100}
    request = http_request(connections.path, connections.authority, {}, b"{}")
    return exchange(connections, request, **settings | options)


def test_plain_http_goes_through_a_tunnel_and_the_proxy_looks_up_the_name(
    proxy: ForwardProxy, gateway: Provider, through: Callable[..., Connections]
) -> None:
    proxy.names["inside.invalid"] = "127.0.0.1"
    url = at(gateway.url, "inside.invalid")
    connections = through(url)
    assert [post(connections).answer for _ in range(3)] == [200] * 3
    assert proxy.targets == [f"inside.invalid:{port_of(url)}"], "the tunnel is kept alive"
    first = gateway.requests[0]
    assert first.line == "POST /messages HTTP/1.1"
    assert first.headers["host"] == f"inside.invalid:{port_of(url)}"
    assert "proxy-authorization" not in first.headers


def test_tls_is_between_us_and_the_gateway(
    proxy: ForwardProxy,
    secure: Provider,
    certificate: tuple[ssl.SSLContext, str],
    through: Callable[..., Connections],
) -> None:
    connections = through(at(secure.url, "localhost"), ca_file=certificate[1])
    assert post(connections).answer == 200
    proxy.names["elsewhere.invalid"] = "127.0.0.1"
    connections = through(at(secure.url, "elsewhere.invalid"), ca_file=certificate[1])
    assert post(connections).answer == "bad_certificate"
    assert post(through(secure.url)).answer == "bad_certificate"


def test_a_tunnel_that_the_gateway_closes_is_made_anew(
    proxy: ForwardProxy, gateway: Provider, through: Callable[..., Connections]
) -> None:
    connections = through(gateway.url)
    gateway.script(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", then=close))
    assert post(connections).answer == 200
    gateway.wait_for_close(1)
    # The proxy may pass that on before or after we send.
    assert post(connections, idempotent=True).answer == 200
    assert len(proxy.requests) == 2


def test_many_at_once(
    proxy: ForwardProxy, gateway: Provider, through: Callable[..., Connections]
) -> None:
    connections = through(gateway.url)
    pool = gevent.pool.Pool(40)
    assert {reply.answer for reply in pool.map(lambda _: post(connections), range(400))} == {200}
    assert 1 <= len(proxy.requests) <= 40


@pytest.mark.parametrize("user_info", ["", "Zo%C3%AB:wrong@", "Zo%C3%AB@", "nobody:x@"])
def test_a_proxy_that_does_not_know_us(
    proxy: ForwardProxy,
    gateway: Provider,
    through: Callable[..., Connections],
    user_info: str,
) -> None:
    connections = through(gateway.url, proxy=f"http://{user_info}{proxy.address}")
    assert post(connections).answer == "proxy_refused"
    assert gateway.connections == 0


FAILURES: dict[str, tuple[Answer, str]] = {
    "403": (raw(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"), "proxy_denied"),
    "401": (raw(b"HTTP/1.0 401 Unauthorized\r\n\r\n"), "proxy_refused"),
    "407": (raw(b"HTTP/1.1 407 Who are you\r\n\r\n"), "proxy_refused"),
    "502": (raw(b"HTTP/1.1 502 Bad Gateway\r\n\r\n"), "proxy_failed"),
    "503": (raw(b"HTTP/1.0 503\r\n\r\n"), "proxy_failed"),
    "504 without CR": (raw(b"HTTP/1.1 504 Gateway Timeout\n\n"), "proxy_failed"),
    "301": (raw(b"HTTP/1.1 301 Moved\r\nLocation: http://a.example/\r\n\r\n"), "proxy_failed"),
    "405": (raw(b"HTTP/1.1 405 Method Not Allowed\r\n\r\n"), "proxy_failed"),
    "closed": (close, "proxy_failed"),
    "reset": (reset, "proxy_failed"),
    "midway": (raw(b"HTTP/1.1 200 Connection est", then=close), "proxy_failed"),
    "midway in the headers": (raw(b"HTTP/1.1 200 OK\r\nVia: x\r\n", then=close), "proxy_failed"),
    "garbage": (raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "proxy_failed"),
    "a TLS alert": (raw(b"\x15\x03\x01\x00\x02\x02\x46", then=close), "proxy_failed"),
    "HTTP/2": (raw(b"HTTP/2 200\r\n\r\n"), "proxy_failed"),
    "four digits": (raw(b"HTTP/1.1 2000 OK\r\n\r\n"), "proxy_failed"),
    "silence": (silence, "connect_timeout"),
    "silence midway": (raw(b"HTTP/1.1 200 OK\r\n", then=silence), "connect_timeout"),
    "1xx for ever": (raw(b"HTTP/1.1 102 Wait\r\n\r\n" * 9, then=silence), "connect_timeout"),
    "1xx, too many": (raw(b"HTTP/1.1 102 Wait\r\n\r\n" * 999, then=silence), "proxy_failed"),
    "too long": (raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_HEAD, then=silence), "proxy_failed"),
    "200, then closed": (raw(GO_ON, then=close), "connection_lost"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_proxy_that_fails(
    proxy: ForwardProxy,
    gateway: Provider,
    through: Callable[..., Connections],
    failure: str,
) -> None:
    answer, word = FAILURES[failure]
    connections = through(gateway.url, connect_timeout=0.5)
    proxy.answers.append(answer)
    began = time.monotonic()
    assert post(connections).answer == word
    assert time.monotonic() - began < 3
    assert post(connections).answer == 200, "nothing is left of the failure"


def test_a_dead_target_and_a_dead_proxy(
    proxy: ForwardProxy, gateway: Provider, through: Callable[..., Connections]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert post(through(f"http://127.0.0.1:{port}/")).answer == "proxy_failed"
    assert post(through("http://unknown.invalid/")).answer == "proxy_failed"
    dead = f"http://127.0.0.1:{port}"
    assert post(through(gateway.url, proxy=dead)).answer == "proxy_failed"
    assert post(through(gateway.url, proxy="http://unknown.invalid:1")).answer == "proxy_failed"
    assert gateway.connections == 0


@pytest.mark.parametrize(
    "head",
    [
        GO_ON,
        # RFC 9110, section 9.3.6: such headers mean nothing here.
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.0 204 Fine\nVia: x\n\n",
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * (MAX_HEAD - 24) + b"\r\n\r\n",
    ],
)
def test_what_follows_the_head_is_the_targets(
    proxy: ForwardProxy,
    gateway: Provider,
    through: Callable[..., Connections],
    head: bytes,
) -> None:
    early = b"HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nearly"
    proxy.answers.append(raw(head + early, then=silence))
    reply = post(through(gateway.url))
    assert (reply.answer, reply.body) == (202, b"early")


def test_a_head_that_comes_in_single_bytes(
    proxy: ForwardProxy,
    secure: Provider,
    certificate: tuple[ssl.SSLContext, str],
    through: Callable[..., Connections],
) -> None:
    def drip(client: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", port_of(secure.url))) as server:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in GO_ON:
                client.sendall(bytes([byte]))
                time.sleep(0.001)
            server.sendall(client.recv(65_536))
            client.sendall(server.recv(65_536))
            relay(client, server)

    proxy.answers.append(drip)
    assert post(through(secure.url, ca_file=certificate[1])).answer == 200


def relay(client: socket.socket, server: socket.socket) -> None:
    client.setblocking(False)
    server.setblocking(False)
    limit = time.monotonic() + 10
    while time.monotonic() < limit:
        for source, sink in ((client, server), (server, client)):
            try:
                received = source.recv(65_536)
            except BlockingIOError:
                continue
            if not received:
                return
            sink.sendall(received)
        time.sleep(0.001)


def test_the_next_address_of_a_proxy_is_tried(
    proxy: ForwardProxy, gateway: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_up(host: str, port: int, *args: Any) -> list[Any]:
        assert host == "proxy.example"
        return [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))
            for address in ("127.0.0.9", "127.0.0.1")
        ]

    monkeypatch.setattr("django_pushjobs.transport.dialer.getaddrinfo", look_up)
    url = f"http://{USER_INFO}@proxy.example:{proxy.port}"
    # On the first address, somebody takes connections and says nothing.
    with socket.create_server(("127.0.0.9", proxy.port)):
        connections = Connections(gateway.url, size=1, connect_timeout=5, proxy=url)
        began = time.monotonic()
        assert post(connections).answer == 200
        assert time.monotonic() - began < 3
        connections._pool().empty()
        began = time.monotonic()
        assert post(connections).answer == 200
        assert time.monotonic() - began < 0.2, "the one that failed is the last to be tried"
    connections.close()


# Destinations that others choose


def origins(forward: ForwardProxy, *addresses: str, **options: Any) -> Origins:
    def look_up(host: str, port: int, **kwargs: Any) -> list[Any]:
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                (address, port, 0, 0) if ":" in address else (address, port),
            )
            for address in addresses
        ]

    options = {"lookup": look_up, "proxy": forward.url_for(USER_INFO)} | options
    return Origins(size=5, connections=5, connect_timeout=5, **options)


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "fd00::1"])
def test_a_proxy_is_not_asked_for_what_is_inside(proxy: ForwardProxy, address: str) -> None:
    made = origins(proxy, "93.184.215.14", address)
    with pytest.raises(DestinationRefused):
        post(made["https://push.example"])
    assert proxy.requests == []


def test_a_proxy_connects_to_the_address_that_was_checked(
    proxy: ForwardProxy,
    secure: Provider,
    certificate: tuple[ssl.SSLContext, str],
    settings: Any,
) -> None:
    settings.PUSHJOBS = settings.PUSHJOBS | {"INSECURE_DESTINATIONS": True}
    # The proxy would be led elsewhere by the name.
    proxy.names["localhost"] = "127.0.0.66"
    made = origins(proxy, "::1", "127.0.0.1", ca_file=certificate[1])
    port = port_of(secure.url)
    connections = made[f"https://localhost:{port}"]
    assert post(connections).answer == 200
    assert proxy.targets == [f"[::1]:{port}", f"127.0.0.1:{port}"], "502, so the next one"
    assert secure.requests[0].headers["host"] == f"localhost:{port}"
    connections._pool().empty()
    assert post(connections).answer == 200
    assert proxy.targets[2:] == [f"127.0.0.1:{port}"], "the one that failed is tried last"
    made.close()


def test_a_wrong_proxy_is_an_error_before_there_is_an_origin(
    proxy: ForwardProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="proxy must"):
        origins(proxy, proxy="proxy.example")
    monkeypatch.setenv("https_proxy", "socks5://proxy.example")
    with pytest.raises(ValueError, match="proxy: https_proxy"):
        origins(proxy, proxy="environment")


# HTTP/2


@pytest.fixture
def peer() -> Iterator[Peer]:
    with apns() as running:
        yield running


def multiplexer(peer: Peer, proxy: str, **options: Any) -> Multiplexer:
    settings: dict[str, Any] = {"connections": 2, "connect_timeout": 5, "max_response": 4_096}
    settings |= {"ca_file": peer.ca_file, "proxy": proxy}
    return Multiplexer(peer.host, peer.port, **settings | options)


def push(requests: Multiplexer) -> int:
    headers = [("apns-topic", TOPIC), ("apns-push-type", "alert")]
    own = [("apns-id", str(uuid.uuid4()))]
    path = f"/3/device/{'ab' * 32}"
    return requests.post(path, b"{}", headers=headers, own=own, timeout=10).status


def test_http2_through_a_proxy(proxy: ForwardProxy, peer: Peer) -> None:
    requests = multiplexer(peer, proxy.url_for(USER_INFO))
    # There is no provider token, so APNs refuses us. What counts is that it answers.
    assert gevent.pool.Pool(20).map(lambda _: push(requests), range(100)) == [403] * 100
    assert set(proxy.targets) == {f"localhost:{peer.port}"}
    assert 1 <= len(proxy.requests) <= 2
    assert "Proxy-Authorization: Basic " in proxy.requests[0]
    requests.close()


@pytest.mark.parametrize("failure", [name for name in FAILURES if "200" not in name])
def test_http2_and_a_proxy_that_fails(proxy: ForwardProxy, peer: Peer, failure: str) -> None:
    answer, word = FAILURES[failure]
    proxy.answers.append(answer)
    requests = multiplexer(peer, proxy.url_for(USER_INFO), connect_timeout=0.5)
    with pytest.raises(HTTP2Error) as caught:
        push(requests)
    assert (caught.value.word, caught.value.sent) == (word, False)
    assert push(requests) == 403
    requests.close()


# The environment


@pytest.fixture
def environment(proxy: ForwardProxy, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.setenv(name, proxy.url_for(USER_INFO))
    return monkeypatch


def test_the_environment_is_ignored_unless_it_is_asked_for(
    environment: pytest.MonkeyPatch,
    proxy: ForwardProxy,
    gateway: Provider,
    peer: Peer,
    through: Callable[..., Connections],
) -> None:
    assert post(through(gateway.url, proxy=None)).answer == 200
    assert proxy.requests == []
    assert post(through(gateway.url, proxy="environment")).answer == 200
    requests = multiplexer(peer, "environment")
    assert push(requests) == 403
    requests.close()
    assert proxy.targets == [f"127.0.0.1:{port_of(gateway.url)}", f"localhost:{peer.port}"]


def test_hosts_in_no_proxy_are_connected_to_directly(
    environment: pytest.MonkeyPatch,
    proxy: ForwardProxy,
    gateway: Provider,
    peer: Peer,
    through: Callable[..., Connections],
) -> None:
    environment.setenv("NO_PROXY", f"127.0.0.1:{port_of(gateway.url)}, localhost")
    assert post(through(gateway.url, proxy="environment")).answer == 200
    requests = multiplexer(peer, "environment")
    assert push(requests) == 403
    requests.close()
    assert proxy.requests == []


# Limits and secrets


@pytest.mark.parametrize("kind", [Timeout, OSError, TimeoutError])
def test_a_timer_of_somebody_else_is_not_a_failure_of_the_proxy(
    proxy: ForwardProxy,
    gateway: Provider,
    through: Callable[..., Connections],
    kind: Any,
) -> None:
    proxy.answers.append(silence)
    connections = through(gateway.url)
    mine = Timeout(0.2) if kind is Timeout else Timeout(0.2, kind("mine"))
    with pytest.raises((Timeout, OSError)) as caught, mine:
        connections.post(b"")
    assert caught.value is mine or "mine" in str(caught.value)
    assert post(connections).answer == 200, "the slot was given back"


def test_no_secret_is_in_a_report_of_an_error(
    proxy: ForwardProxy, gateway: Provider, through: Callable[..., Connections]
) -> None:
    """Reporters such as Sentry show the variables of every frame."""
    canary = "canary-7f3a"
    proxy.login = ("anna", canary)
    encoded = base64.b64encode(f"anna:{canary}".encode()).decode()
    connections = through(gateway.url, proxy=proxy.url_for(f"anna:{canary}"))
    assert post(connections).answer == 200
    connections._pool().empty()
    shown = []
    for answer in (silence, close, raw(b"HTTP/1.1 407 " + canary.encode() + b"\r\n\r\n")):
        proxy.answers.append(answer)
        with (
            pytest.raises((LookupError, OSError)) as caught,
            Timeout(0.2, LookupError("the job was stopped")),
        ):
            connections.post(b"")
        # Without the frame of this test, which knows the secret.
        report = traceback.TracebackException(
            caught.type, caught.value, caught.tb.tb_next, capture_locals=True
        )
        shown.append("".join(report.format()))
    assert ["in tunnel" in text for text in shown] == [True] * 3
    for text in shown:
        assert canary not in text
        assert encoded not in text
    assert canary not in repr(connections._dialer._proxy)


def test_a_tunnel_in_the_making_is_closed_if_it_is_given_up(
    proxy: ForwardProxy, gateway: Provider, through: Callable[..., Connections]
) -> None:
    closed: list[bool] = []

    def wait(client: socket.socket) -> None:
        closed.append(client.recv(1) == b"")

    proxy.answers.append(wait)
    assert post(through(gateway.url), timeout=0.3).answer == "timeout"
    with Timeout(5):
        while not closed:
            gevent.sleep(0.01)
    assert closed == [True]
