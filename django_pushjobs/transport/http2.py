"""One HTTP/2 connection (RFC 9113) that many greenlets use at once."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import gevent
from gevent import Timeout, get_hub
from gevent.event import Event
from gevent.socket import socket
from h2 import events
from h2.errors import ErrorCodes
from h2.exceptions import NoAvailableStreamIDError, ProtocolError
from hpack import HeaderTuple

from .http2_errors import HTTP2Error, Lost, NotStarted, Unprocessed, goaway_reason_of
from .http2_exchange import Exchange, Response
from .http2_protocol import MAX_STREAMS, Protocol
from .pace import Pace

#: Seconds of silence after which the peer is sent a PING.
PING_AFTER = 30.0
#: Seconds that it then has to send anything.
PING_TIMEOUT = 10.0
#: Seconds without a byte while a request waits for its answer, after which the peer is sent one as
#: well, and seconds that it then has: what keeps requests waiting must be found soon.
IMPATIENT_AFTER = 1.0
IMPATIENT_TIMEOUT = 1.5
_WATCH_EVERY = 0.25
#: Statuses that do not prove a connection: it still gets one stream at a time.
_UNAUTHORISED = frozenset({401, 403})
_BLOCK = 65_536
#: Seconds that the reader works on answers at a time. Shorter turns make smaller batches of what
#: callers send next, at a tenth more CPU time; what brings no answer on gets short ones.
_STRETCH = 0.025


class _Silence(Exception):
    """Nothing has come for :data:`PING_AFTER` seconds."""


class Connection:
    """One connection: a greenlet reads, another writes, and callers wait for their answers.

    A caller first takes a slot by :meth:`reserve`, and :meth:`request` gives it back. A connection
    belongs to the hub that it was made in.

    :param sock: a TLS socket on which HTTP/2 was agreed.
    :param max_response: bytes of a body that are kept; a longer body is cut off.
    :param on_change: called when a slot may have become free, or the connection has ended.
    """

    def __init__(self, sock: socket, *, max_response: int, on_change: Callable[[], None]) -> None:
        self._sock = sock
        self._max_response = max_response
        self._on_change = on_change
        self._h2 = Protocol()
        self._pace = Pace(_STRETCH)
        self._exchanges: dict[int, Exchange] = {}
        #: Those whose first frames the socket has not been given yet.
        self._unwritten: list[Exchange] = []
        #: Those whose body waits for the peer's flow control window.
        self._blocked: deque[Exchange] = deque()
        #: Whether it may have grown since the last attempt.
        self._has_room = False
        self._taken = 0
        self._limit = 1
        #: Whether an answer has shown that the peer accepts our credentials.
        self.is_proven = False
        #: Whether that answer is late, so that nobody should wait for it.
        self.is_slow = False
        #: Whether no further request may start here.
        self.is_closing = False
        self.is_closed = False
        #: Whether it ended because the peer did not react.
        self.was_silent = False
        #: The address of the peer.
        self.address: Any = None
        with suppress(OSError):
            self.address = sock.getpeername()
        self.goaway_reason = ""
        #: When something came from the peer, and since when a request has been waiting.
        self.heard = self.busy_since = time.monotonic()
        self._is_watched = False
        self._last_used = time.monotonic()
        self._wake = Event()
        self._h2.initiate_connection()
        self._hub = get_hub()
        self._writer = gevent.spawn(self._write)
        self._reader = gevent.spawn(self._read)
        self._flush()

    @property
    def free(self) -> int:
        """The number of slots that can be taken now: what the peer allows, but only one until it
        has accepted our credentials."""
        return 0 if self.is_closing else self._limit - self._taken

    def reserve(self) -> None:
        """Take a slot."""
        self._taken += 1

    def release(self) -> None:
        """Give back a slot."""
        self._taken -= 1
        if self.is_closing and not self._exchanges:
            self._end("the connection was closed")
        self._on_change()

    def request(
        self,
        headers: list[HeaderTuple | tuple[bytes, bytes]],
        body: bytes,
        *,
        deadline: Timeout | None = None,
    ) -> Response:
        """Make one request in a slot that was reserved, and wait for its answer.

        There is no time limit: the caller sets one with :class:`gevent.Timeout`. If that, or
        anything else, interrupts the wait, the stream is reset.

        :param deadline: the caller's; if it finds the headers here, they are the answer.
        :raises NotStarted: the slot has become useless: reserve another one.
        :raises HTTP2Error: there will be no answer.
        """
        exchange: Exchange | None = None
        try:
            self._settle()
            exchange = self._start(headers, body)
            answer = exchange.answer.get()
        except BaseException as interrupt:
            if exchange is not None:
                self._cancel(exchange)
            if exchange is None or not exchange.status or interrupt is not deadline:
                raise
            answer = exchange.response()
        finally:
            self.release()
        if isinstance(answer, HTTP2Error):
            raise answer
        # For the type checker.
        assert isinstance(answer, Response)  # nosec B101
        return answer

    def retire(self) -> None:
        """Start nothing new, and end once the last request has its answer."""
        self.is_closing = True
        if not self._taken:
            self._end("the connection was closed")

    def close(self) -> None:
        """End the connection; requests that still wait for an answer fail."""
        self.is_closing = True
        if self._hub is not get_hub():
            # It belongs to another thread, which may have ended: its greenlets are not ours.
            self.is_closed = True
            with suppress(OSError):
                self._sock.close()
            return
        if not self.is_closed:
            with suppress(ProtocolError):
                self._h2.close_connection()
            self._say_goodbye()
        self._end("the connection was closed")

    def _settle(self) -> None:
        """Let the reader read what came while no greenlet waited, as in a process that runs one
        job at a time: the peer may have closed the connection long ago."""
        now = time.monotonic()
        if now - self._last_used > 1:
            gevent.sleep(0.001)
        self._last_used = now

    def _start(self, headers: Iterable[Any], body: bytes) -> Exchange:
        if self.is_closing:
            raise NotStarted("goaway", "the connection is closing", reason=self.goaway_reason)
        if len(self._exchanges) >= self._limit:
            raise NotStarted("refused_stream", "the peer has lowered its limit")
        try:
            stream_id = self._h2.get_next_available_stream_id()
        except NoAvailableStreamIDError:
            # After a billion requests.
            self.is_closing = True
            raise NotStarted("goaway", "the connection has no more stream ids") from None
        self._h2.send_headers(stream_id, headers, end_stream=not body)
        if not self._exchanges:
            self.busy_since = time.monotonic()
        if not self._is_watched:
            self._is_watched = True
            gevent.spawn(self._watch)
        self._h2.allowance.add_request()
        exchange = self._exchanges[stream_id] = Exchange(stream_id, body)
        self._unwritten.append(exchange)
        if body:
            self._send_body(exchange)
        self._flush()
        return exchange

    def _send_body(self, exchange: Exchange) -> None:
        """Send as much of the body as flow control allows; the rest waits."""
        h2, stream_id = self._h2, exchange.stream_id
        while exchange.unsent:
            size = min(h2.local_flow_control_window(stream_id), h2.max_outbound_frame_size)
            if size <= 0:
                self._blocked.append(exchange)
                return
            part, exchange.unsent = exchange.unsent[:size], exchange.unsent[size:]
            h2.send_data(stream_id, part, end_stream=not exchange.unsent)

    def _unblock(self) -> None:
        self._has_room = False
        blocked, self._blocked = self._blocked, deque()
        for exchange in blocked:
            # h2 may already know that the stream has ended, from an event that we handle later.
            with suppress(ProtocolError):
                if exchange.stream_id in self._exchanges:
                    self._send_body(exchange)

    def _cancel(self, exchange: Exchange, code: ErrorCodes = ErrorCodes.CANCEL) -> None:
        if self._exchanges.pop(exchange.stream_id, None) and not self.is_closed:
            with suppress(ProtocolError):
                self._h2.reset_stream(exchange.stream_id, code)
            self._flush()

    def _flush(self) -> None:
        self._wake.set()

    def _write(self) -> None:
        # Frames of all callers that ran in this iteration of the hub are sent together.
        while not self.is_closed:
            self._wake.wait()
            self._wake.clear()
            self._unwritten.clear()
            if data := self._h2.data_to_send():
                try:
                    self._sock.sendall(data)
                except OSError:
                    # The reader reads what the peer still had to say, and ends the connection.
                    self.is_closing = True
                    self._on_change()
                    return

    def _read(self) -> None:
        end = "the connection was closed by the peer"
        try:
            while data := self._receive():
                self.heard = time.monotonic()
                for found, size in self._h2.frames(data):
                    gained = True in [self._handle(event) for event in found]
                    if not gained:
                        self._h2.waste(size)
                    self._pace.breathe(gained=gained)
                if self._has_room:
                    self._unblock()
                self._flush()
                if self.is_closing and not self._taken:
                    break
        except ProtocolError as error:
            self.is_closing = True
            end = f"the peer broke the protocol: {type(error).__name__}"
            self._say_goodbye()
        except (OSError, ValueError) as error:
            self.was_silent = isinstance(error, TimeoutError)
            end = f"the connection was lost: {type(error).__name__}"
        finally:
            self._end(end)

    def _receive(self) -> bytes:
        """Return the next bytes, or b"" at the end.

        :raises TimeoutError: the peer was silent, and did not react to a PING.
        """
        try:
            with Timeout(PING_AFTER, _Silence):
                return self._pace.read(self._sock.recv, _BLOCK)
        except _Silence:
            self._h2.ping(b"pushjobs")
            self._flush()
        with Timeout(PING_TIMEOUT, TimeoutError("the peer does not react")):
            return self._pace.read(self._sock.recv, _BLOCK)

    def _watch(self) -> None:
        """As long as requests wait: end bodies that do not end, and a connection that is silent."""
        pinged = 0.0
        while True:
            gevent.sleep(_WATCH_EVERY)
            if self.is_closed or not self._exchanges:
                break
            now = time.monotonic()
            if not self.is_proven and now - self.busy_since >= _WATCH_EVERY:
                self.is_slow = True
                self._on_change()
            for late in [one for one in self._exchanges.values() if one.is_late(now)]:
                self._cut(late)
            since = max(self.heard, self.busy_since)
            if now - since < IMPATIENT_AFTER:
                continue
            if pinged <= since:
                pinged = now
                with suppress(ProtocolError):
                    self._h2.ping(b"pushjobs")
                self._flush()
            elif now - pinged >= IMPATIENT_TIMEOUT:
                gevent.sleep(0.01)  # to the reader, if it was us who did not react
                if self.heard <= since:
                    self.was_silent = True
                    self._end("the peer does not react")
                    break
        self._is_watched = False

    def _say_goodbye(self) -> None:
        with suppress(OSError), Timeout(1, TimeoutError):
            self._sock.sendall(self._h2.data_to_send())

    def _handle(self, event: events.Event) -> bool:
        """Return whether an answer has come further."""
        match event:
            case events.ResponseReceived():
                if exchange := self._exchanges.get(event.stream_id):
                    exchange.decide(dict(event.headers), self.heard)
                    return True
            case events.StreamEnded():
                if exchange := self._exchanges.pop(event.stream_id, None):
                    self._answered(exchange)
                    return True
            case events.DataReceived():
                return self._collect(event)
            case events.StreamReset():
                if exchange := self._exchanges.pop(event.stream_id, None):
                    exchange.reset(refused=event.error_code == ErrorCodes.REFUSED_STREAM)
                    return True
            case events.ConnectionTerminated():
                self._drain(event)
            case events.RemoteSettingsChanged():
                self._set_limit()
                self._has_room = True
            case events.WindowUpdated():
                self._has_room = True
        return False

    def _answered(self, exchange: Exchange) -> None:
        if exchange.unsent:
            # An early answer: the peer does not need the rest.
            with suppress(ProtocolError):
                self._h2.reset_stream(exchange.stream_id, ErrorCodes.NO_ERROR)
        if not self.is_proven and exchange.status not in _UNAUTHORISED:
            self.is_proven = True
            self._set_limit()
        exchange.finish()

    def _set_limit(self) -> None:
        if self.is_proven:
            self._limit = min(self._h2.remote_settings.max_concurrent_streams, MAX_STREAMS)
            self._on_change()

    def _cut(self, exchange: Exchange) -> None:
        """Reset a stream that has brought its headers, and do without the rest."""
        self._cancel(exchange)
        exchange.unsent = b""
        self._answered(exchange)

    def _collect(self, event: events.DataReceived) -> bool:
        self._h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
        exchange = self._exchanges.get(event.stream_id)
        if exchange is None:
            return False
        if not exchange.take(event.data or b"", self._max_response):
            self._cut(exchange)
        return bool(event.data)

    def _drain(self, event: events.ConnectionTerminated) -> None:
        """Obey a GOAWAY: start nothing new, and fail what the peer will not process."""
        self.is_closing = True
        self.goaway_reason = goaway_reason_of(event.additional_data)
        last = event.last_stream_id or 0
        for stream_id in [number for number in self._exchanges if number > last]:
            exchange = self._exchanges.pop(stream_id)
            exchange.answer.set(
                Unprocessed("goaway", "the peer closes the connection", reason=self.goaway_reason)
            )
        self._on_change()

    def _end(self, detail: str) -> None:
        if self.is_closed:
            return
        self.is_closed = self.is_closing = True
        unwritten, self._unwritten = set(self._unwritten), []
        exchanges, self._exchanges = self._exchanges, {}
        for exchange in exchanges.values():
            error = Unprocessed if exchange in unwritten else Lost
            exchange.fail(error("connection_lost", detail, reason=self.goaway_reason))
        self._flush()
        self._sock.close()
        if gevent.getcurrent() is not self._reader:
            self._reader.kill(block=False)
        self._on_change()
