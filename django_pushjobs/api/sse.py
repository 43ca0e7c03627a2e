"""Changes as server-sent events (WHATWG HTML, section 9.2), resumable by ``Last-Event-ID``."""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from http import HTTPStatus
from typing import Final

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from rest_framework.request import Request

from ..events import streams
from ..events.change import Change
from ..events.listeners import Lagging, Listener, can_listen, hub
from ..events.streams import Event
from ..models import PushRequest
from . import parameters
from .exceptions import NeedsGreenlets
from .waiting import release_connections

MEDIA_TYPE: Final = "text/event-stream"
#: Seconds of silence after which a comment shows that both sides are alive.
HEARTBEAT: Final = 15.0
#: Seconds after which a stream ends; the client reconnects, and its key is checked again.
LIFE: Final = 900.0
#: Proxies must pass on at once what they get.
_HEADERS: Final = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
#: Milliseconds after which a client reconnects.
_RETRY: Final = 2_000
_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")


class EventStream:
    """The body of a stream: what was missed, then what happens.

    :param stack: closed with the stream.
    :param row: the push request it is about, or None for all of the client.
    :param replay: the events since ``Last-Event-ID``, or None if the call has none.
    :param gap: whether some of them are lost.
    """

    def __init__(
        self,
        stack: ExitStack,
        listener: Listener,
        row: PushRequest | None,
        replay: list[Event] | None,
        *,
        gap: bool,
    ) -> None:
        self._stack = stack
        self._listener = listener
        self._row = row
        self._replay = replay
        self._gap = gap
        self._frames = self._generate()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return next(self._frames)

    def close(self) -> None:
        """Stop listening; Django calls this when the response is over, however it ended."""
        self._frames.close()
        self._stack.close()

    def _generate(self) -> Generator[str, None, None]:
        yield f"retry: {_RETRY}\n\n"
        if self._gap:
            yield _frame(
                "gap", '{"detail":"Some events were lost: look at what you are waiting for."}'
            )
        if self._replay is None or self._gap:
            # So that the client can resume here even if nothing happens.
            yield f"id: {self._listener.position}\n\n"
            if self._row is not None:
                yield _status(self._listener.position, streams.describe(Change.of(self._row)))
        for event in self._replay or ():
            yield _status(event.id, event.data)
        if self._row is not None and self._row.is_final:
            return
        yield from self._live()

    def _live(self) -> Iterator[str]:
        end = time.monotonic() + LIFE
        after = streams.order(self._listener.position)
        while (left := end - time.monotonic()) > 0:
            try:
                event = self._listener.next(min(left, HEARTBEAT))
            except Lagging:
                return
            if event is None:
                yield ": alive\n\n"
            elif streams.order(event.id) > after:
                yield _status(event.id, event.data)
                if self._row is not None and event.is_final:
                    return


def respond(request: Request, client_id: int, row: PushRequest | None) -> HttpResponseBase:
    """Return the stream of what happens to all push requests of a client, or to ``row`` only.

    :raises NeedsGreenlets: this server uses threads.
    :raises ValidationError: ``Last-Event-ID`` is not one of ours.
    :raises TooManyListeners: this process has too many streams already.
    :raises broker.Unavailable: Redis does not answer.
    """
    if not can_listen():
        raise NeedsGreenlets
    last = _last_event_id(request)
    if request.method == "HEAD":
        return HttpResponse(content_type=MEDIA_TYPE, headers=_HEADERS)
    with ExitStack() as stack:
        wanted = None if row is None else str(row.pk)
        listener = stack.enter_context(hub().listen(client_id, wanted))
        if row is not None:
            row.refresh_from_db()
        gap, replay = _missed(client_id, wanted, last, listener.position)
        release_connections()
        if row is not None and row.is_final and replay == [] and not gap:
            # The client has seen the end: tell it not to reconnect.
            return HttpResponse(status=HTTPStatus.NO_CONTENT)
        body = EventStream(stack.pop_all(), listener, row, replay, gap=gap)
    return StreamingHttpResponse(
        body,
        content_type=MEDIA_TYPE,
        headers=_HEADERS,
    )


def _missed(
    client_id: int, request_id: str | None, last: str | None, position: str
) -> tuple[bool, list[Event] | None]:
    """Return whether some events after ``last`` are lost, and those that are not."""
    if last is None:
        return False, None
    oldest = streams.first(client_id)
    gap = oldest is None or not streams.order(oldest) <= streams.order(last) <= streams.order(
        position
    )
    found = streams.between(client_id, "0-0" if gap else last, position)
    return gap, [e for e in found if request_id is None or e.request_id == request_id]


def _last_event_id(request: Request) -> str | None:
    text = request.headers.get("Last-Event-ID", "").strip()
    if not text:
        return None
    if not _ID.fullmatch(text) or max(streams.order(text)) >= 2**64:
        raise parameters.invalid("Last-Event-ID", "is not an id from this stream")
    return text


def _status(event_id: str, data: str) -> str:
    return f"id: {event_id}\n{_frame('status', data)}"


def _frame(kind: str, data: str) -> str:
    return f"event: {kind}\ndata: {data}\n\n"
