"""The HTTP/2 client against a peer that limits, refuses, resets, goes away and falls silent."""

from __future__ import annotations

import socket
import ssl
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import gevent
import gevent.pool
import jwt
import pytest
from h2.errors import ErrorCodes

from django_pushjobs.transport import http2, http2_exchange
from django_pushjobs.transport.http2_errors import (
    ConnectFailed,
    HTTP2Error,
    Lost,
    TimedOut,
    Unprocessed,
)
from django_pushjobs.transport.http2_exchange import Response
from django_pushjobs.transport.multiplexing import Multiplexer
from tests.support.apns import (
    KEY_ID,
    TEAM_ID,
    TOPIC,
    Abort,
    Answer,
    GoAway,
    Hang,
    Peer,
    Reset,
    apns,
)
from tests.support.provider import lose_packets
from tests.support.waiting import eventually


class Client:
    """Posts requests that the peer finds right."""

    def __init__(
        self, peer: Peer, *, timeout: float = 20, idempotent: bool = False, **options: Any
    ) -> None:
        self.timeout = timeout
        self.idempotent = idempotent
        settings = {"connections": 1, "connect_timeout": 10, "max_response": 4_096}
        self.requests = Multiplexer(
            "localhost", peer.port, **settings | {"ca_file": peer.ca_file} | options
        )
        claims = {"iss": TEAM_ID, "iat": int(time.time())}
        token = jwt.encode(claims, peer.key, "ES256", headers={"kid": KEY_ID})
        self.headers = [
            ("authorization", f"bearer {token}"),
            ("apns-topic", TOPIC),
            ("apns-push-type", "alert"),
        ]

    def post(self, body: bytes = b"{}", apns_id: str = "") -> Response:
        return self.requests.post(
            f"/3/device/{'ab' * 32}",
            body,
            headers=self.headers,
            own=[("apns-id", apns_id or str(uuid.uuid4()))],
            timeout=self.timeout,
            idempotent=self.idempotent,
        )

    def post_many(self, count: int, at_once: int = 1_000) -> Counter[Any]:
        """Post, and return how often there was which status or error."""

        def one(_: int) -> Any:
            try:
                return self.post().status
            except HTTP2Error as error:
                return type(error)

        return Counter(gevent.pool.Pool(at_once).imap_unordered(one, range(count)))


@pytest.fixture
def peer() -> Iterator[Peer]:
    with apns() as running:
        yield running


@pytest.fixture
def client(peer: Peer) -> Iterator[Client]:
    client = Client(peer)
    yield client
    client.requests.close()


def test_many_share_one_connection(peer: Peer, client: Client) -> None:
    peer.latency = 0.02
    assert client.post_many(500) == {200: 500}
    assert peer.connections == 1
    assert peer.most_streams > 50
    assert len({request.headers["apns-id"] for request in peer.received}) == 500


def test_one_stream_until_the_first_authorised_answer(peer: Peer, client: Client) -> None:
    peer.latency = 0.02
    peer.script += [Answer(403, "InvalidProviderToken")] * 3
    assert client.post_many(50) == {403: 3, 200: 47}
    assert peer.early_streams == 1
    assert peer.most_streams > 10


def test_the_stream_limit_is_obeyed_and_followed(peer: Peer) -> None:
    peer.max_streams, peer.latency = 7, 0.005
    client = Client(peer)
    assert client.post_many(100) == {200: 100}
    assert peer.most_streams == 7
    peer.limit_streams(1)
    assert client.post().status == 200
    peer.most_streams = 0
    assert client.post_many(20) == {200: 20}
    assert peer.most_streams == 1
    peer.limit_streams(20)
    client.post_many(200)
    assert peer.most_streams == 20
    assert peer.violations == 0
    client.requests.close()


def test_the_limit_may_fall_while_many_are_under_way(peer: Peer) -> None:
    peer.latency = 0.01
    client = Client(peer)
    posting = gevent.spawn(client.post_many, 600, 200)
    for limit in (50, 3, 100, 1, 1_000):
        gevent.sleep(0.03)
        peer.limit_streams(limit)
    # What was already on its way is refused, and sent again.
    assert posting.get() == {200: 600}
    client.requests.close()


def test_more_connections_are_made_when_all_are_full(peer: Peer) -> None:
    peer.max_streams, peer.latency = 5, 0.02
    client = Client(peer, connections=4)
    assert client.post_many(300) == {200: 300}
    assert peer.connections == 4
    assert peer.most_streams == 5
    assert client.requests.open_connections == 4
    client.requests.close()


def test_a_first_request_without_an_answer_holds_nobody_up(peer: Peer) -> None:
    client = Client(peer, connections=2, timeout=600)
    peer.script.append(Hang())
    unanswered = gevent.spawn(client.post)
    eventually_in_gevent(lambda: len(peer.received) == 1)
    assert client.post_many(50) == {200: 50}
    assert peer.connections == 2
    assert peer.early_streams == 1
    assert not unanswered.ready()
    unanswered.kill()
    client.requests.close()


def test_a_goaway_in_mid_flight_loses_nothing(peer: Peer) -> None:
    peer.latency = 0.02
    client = Client(peer, connections=2)
    posting = gevent.spawn(client.post_many, 1_000, 100)
    for number in range(1, 4):
        eventually_in_gevent(lambda n=number: len(peer.received) > n * 200)
        peer.go_away("Shutdown")
    assert posting.get() == {200: 1_000}
    answered = Counter(request.headers["apns-id"] for request in peer.received)
    assert set(answered.values()) == {1}, "nothing was sent twice that was processed"
    assert peer.connections >= 4
    client.requests.close()


def test_a_request_above_the_last_stream_is_sent_again(peer: Peer, client: Client) -> None:
    client.post()
    peer.script.append(GoAway("Shutdown"))
    assert client.post(apns_id=str(uuid.UUID(int=7))).status == 200
    again = [r for r in peer.received if r.headers["apns-id"] == str(uuid.UUID(int=7))]
    assert [request.connection for request in again] == [1, 2]


def test_a_peer_that_always_goes_away_is_given_up_with_its_reason(
    peer: Peer, client: Client
) -> None:
    peer.script += [GoAway("BadCertificate")] * 3
    with pytest.raises(Unprocessed) as caught:
        client.post()
    assert (caught.value.word, caught.value.reason) == ("goaway", "BadCertificate")
    assert not caught.value.sent
    assert client.post().status == 200


def test_a_refused_stream_is_sent_again(peer: Peer, client: Client) -> None:
    peer.script += [Reset(ErrorCodes.REFUSED_STREAM)] * 2
    assert client.post().status == 200
    peer.script += [Reset(ErrorCodes.REFUSED_STREAM)] * 3
    with pytest.raises(Unprocessed) as caught:
        client.post()
    assert caught.value.word == "refused_stream"


def test_a_reset_stream_is_not_sent_again(peer: Peer, client: Client) -> None:
    client.post()
    peer.script.append(Reset())
    with pytest.raises(Lost) as caught:
        client.post()
    assert (caught.value.word, caught.value.sent) == ("stream_reset", True)
    assert len(peer.received) == 2
    assert client.post().status == 200
    assert peer.connections == 1


def test_a_lost_connection_fails_what_it_carried(peer: Peer, client: Client) -> None:
    peer.latency = 0.02
    client.post()
    peer.script += [Answer()] * 5 + [Abort()]
    counts = client.post_many(20, 20)
    assert counts[Lost] > 0
    assert counts[Lost] + counts[200] == 20
    assert client.post().status == 200


def test_what_the_peer_recognizes_is_sent_again_over_another_connection(peer: Peer) -> None:
    peer.latency = 0.02
    client = Client(peer, idempotent=True)
    client.post()
    peer.script += [Answer()] * 5 + [Abort()]
    assert client.post_many(20, 20) == {200: 20}
    assert peer.connections == 2
    client.requests.close()


@pytest.mark.parametrize("idle", [False, True])
def test_a_dead_connection_is_left_within_three_seconds(peer: Peer, idle: bool) -> None:
    """Packets vanish. Nobody says so."""
    client = Client(peer, idempotent=True)
    client.post_many(1 if idle else 50)
    peer.lose_packets()
    began = time.monotonic()
    apns_id = str(uuid.UUID(int=9))
    posting = gevent.spawn(client.post, b"{}", apns_id)
    assert client.post_many(20) == {200: 20}
    assert posting.get().status == 200
    assert time.monotonic() - began < 4.5
    assert peer.connections == 2
    assert [r.connection for r in peer.received if r.headers["apns-id"] == apns_id] == [2]
    client.requests.close()


def test_connections_that_died_together_are_left_together(peer: Peer) -> None:
    peer.max_streams, peer.latency = 5, 0.02
    client = Client(peer, connections=4, idempotent=True)
    assert client.post_many(200) == {200: 200}
    assert peer.connections == 4
    peer.lose_packets()
    began = time.monotonic()
    assert client.post().status == 200
    assert time.monotonic() - began < 4.5
    assert client.requests.open_connections == 1
    client.requests.close()


def test_a_slow_peer_that_reacts_is_waited_for(peer: Peer) -> None:
    client = Client(peer, idempotent=True)
    client.post()
    peer.latency = 4
    assert client.post().status == 200
    assert peer.pings >= 2
    assert peer.connections == 1
    client.requests.close()


def test_addresses_that_drop_syns_or_are_silent_do_not_block_the_others(peer: Peer) -> None:
    with (
        socket.create_server(("127.0.0.2", peer.port)) as black_hole,
        socket.create_server(("127.0.0.3", peer.port)),
    ):
        lose_packets(black_hole)
        client = Client(peer, timeout=10, connect_timeout=5, idempotent=True)
        client.requests.dialer._resolve = lambda _, port: [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{host}", port))
            for host in (2, 3, 1)
        ]
        began = time.monotonic()
        assert client.post_many(12) == {200: 12}
        assert time.monotonic() - began < 4
        client.requests.close()


def test_a_connection_that_idled_and_was_closed_is_not_used(peer: Peer, client: Client) -> None:
    client.post()
    peer.abort()
    # As in a process that does other things meanwhile: nobody lets the reader read.
    time.sleep(1.1)
    assert client.post().status == 200
    assert peer.connections == 2


def test_a_silent_connection_is_noticed(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http2, "PING_AFTER", 0.2)
    monkeypatch.setattr(http2, "PING_TIMEOUT", 0.2)
    client = Client(peer)
    client.post()
    eventually_in_gevent(lambda: peer.pings >= 2)  # which were answered
    assert client.post().status == 200
    assert peer.connections == 1
    peer.silent = True
    with pytest.raises(Lost):
        client.post()
    peer.silent = False
    assert client.post().status == 200
    assert peer.connections == 2
    client.requests.close()


def test_a_request_has_a_time_limit_and_gives_its_stream_back(peer: Peer) -> None:
    peer.max_streams = 1
    client = Client(peer, timeout=0.5)
    client.post()
    peer.script.append(Hang())
    with pytest.raises(TimedOut) as caught:
        client.post()
    assert caught.value.sent
    assert client.post().status == 200
    assert peer.connections == 1
    assert peer.violations == 0
    client.requests.close()


def test_who_waits_in_vain_for_a_stream_has_sent_nothing(peer: Peer) -> None:
    peer.max_streams = 1
    client = Client(peer, timeout=1)
    client.post()
    peer.script.append(Hang())
    first = gevent.spawn(client.post)
    gevent.sleep(0.2)
    client.timeout = 0.2
    with pytest.raises(TimedOut) as caught:
        client.post()
    assert not caught.value.sent
    with pytest.raises(TimedOut):
        first.get()
    client.timeout = 20
    assert client.post().status == 200
    client.requests.close()


def test_whoever_is_killed_gives_his_stream_back(peer: Peer) -> None:
    peer.max_streams = 2
    client = Client(peer)
    client.post()
    peer.script += [Hang()] * 2
    posting = [gevent.spawn(client.post) for _ in range(6)]
    gevent.sleep(0.2)
    gevent.killall(posting)
    assert client.post_many(10) == {200: 10}
    assert peer.connections == 1
    client.requests.close()


def test_large_bodies_wait_for_the_window(peer: Peer, client: Client) -> None:
    body = b"x" * 300_000
    replies = [gevent.spawn(client.post, body) for _ in range(5)]
    gevent.joinall(replies, raise_error=True)
    assert {greenlet.value.status for greenlet in replies} == {413}
    assert [len(request.body) for request in peer.received] == [300_000] * 5


def test_an_answer_is_cut_off_at_the_limit(peer: Peer, client: Client) -> None:
    for size in (4_096, 4_097, 60_000):
        peer.script.append(Answer(400, body=b"x" * size))
        response = client.post()
        assert (response.status, len(response.body)) == (400, 4_096)
    assert client.post().status == 200
    assert peer.connections == 1


def test_a_host_that_is_not_there_is_tried_once_for_all_who_wait(peer: Peer) -> None:
    client = Client(peer)
    client.requests.dialer.port = 1
    assert client.post_many(100) == {ConnectFailed: 100}
    client.requests.dialer.port = peer.port
    assert client.post().status == 200
    client.requests.close()


def test_a_host_without_http2_is_unreachable() -> None:
    with apns(alpn=("http/1.1",)) as peer:
        client = Client(peer)
        with pytest.raises(ConnectFailed) as caught:
            client.post()
        assert isinstance(caught.value.__cause__, OSError)
        client.requests.close()


def test_the_name_in_the_certificate_is_checked(peer: Peer) -> None:
    client = Client(peer)
    client.requests.dialer.host = "127.0.0.2"
    with pytest.raises(ConnectFailed) as caught:
        client.post()
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError | ConnectionError)
    client.requests.close()


def test_a_connection_without_stream_ids_is_replaced(peer: Peer, client: Client) -> None:
    client.post()
    (connection,) = client.requests._pool().connections
    connection._h2.highest_outbound_stream_id = 2**31 - 3
    assert client.post_many(3, 1) == {200: 3}
    assert peer.connections == 2


def test_close_ends_what_is_under_way(peer: Peer, client: Client) -> None:
    client.post()
    peer.script.append(Hang())
    posting = gevent.spawn(client.post)
    eventually_in_gevent(lambda: len(peer.received) == 2)
    client.requests.close()
    with pytest.raises(Lost):
        posting.get()
    eventually(lambda: not peer.open)


def eventually_in_gevent(fact: Any) -> None:
    deadline = time.monotonic() + 20
    while not fact():
        assert time.monotonic() < deadline
        gevent.sleep(0.01)


def test_headers_that_a_deadline_finds_are_the_answer(
    peer: Peer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The body is late, and there is no time left to wait for it."""
    client.post()
    monkeypatch.setattr(http2_exchange, "BODY_TIME", 1_000.0)
    (connection,) = client.requests._pool().connections
    client.timeout = 0.3
    peer.script.append(Hang())
    posting = gevent.spawn(client.post)
    eventually_in_gevent(lambda: bool(connection._exchanges))
    (exchange,) = connection._exchanges.values()
    exchange.decide({b":status": b"410"}, time.monotonic())
    assert posting.get().status == 410
    assert not connection._exchanges
    peer.script.append(Hang())
    with pytest.raises(TimedOut):
        client.post()
    assert peer.connections == 1
