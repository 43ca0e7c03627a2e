"""Calls of one caller wait for each other, so that those of others need not.

A web process on greenlets takes every call at once, and the more of them one caller makes, the
longer everybody else waits. So of one caller ``MAX_CLIENT_CALLS`` calls are worked off at a time in
each process; further ones wait in line, where they cost nothing. It begins before anything is
known of the caller but the credentials that were sent. Those that have not been good for anything
here yet share one line.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock, Semaphore
from typing import Final

from django.conf import settings
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from ..conf import conf
from .authentication import secret_of
from .exceptions import TooManyCalls

#: Calls that wait in one line; further ones are refused.
MAX_WAITING: Final = 1_000
#: Credentials that a process remembers to be good.
KEPT: Final = 10_000
#: The line of those that nobody knows.
_STRANGERS: Final = 0


class _Line:
    """The calls of one caller: those who wait, who have their turn, and who stand aside."""

    __slots__ = ("aside", "calls", "turns")

    def __init__(self, size: int) -> None:
        self.calls = self.aside = 0
        self.turns = Semaphore(size)


class _Turn:
    """That of one call."""

    __slots__ = ("is_taken", "line")

    def __init__(self, line: _Line) -> None:
        self.line = line
        self.is_taken = False

    def take(self) -> None:
        self.line.turns.acquire()
        self.is_taken = True

    def give_back(self) -> None:
        # Whoever was interrupted while he waited for it has none.
        if self.is_taken:
            self.is_taken = False
            self.line.turns.release()


_lines: dict[int, _Line] = {}
#: Held while the numbers of a line are changed or looked at.
_lock = Lock()
_known: OrderedDict[int, None] = OrderedDict()
_current: ContextVar[_Turn | None] = ContextVar("turn", default=None)


@sensitive_variables()
def caller_of(request: HttpRequest, *, has_key: bool) -> int:
    """Return a number for the credentials of a call: of one caller it is one, however he spells
    them, and whatever else he sends. It means nothing outside of this process.

    :param has_key: they are an API key; else those of a user of the site.
    """
    if has_key:
        return hash(secret_of(request))
    session = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    others = request.headers.get("Authorization", "").casefold().split()
    return hash(session or " ".join(others))


def recognise(caller: int) -> None:
    """Remember that these credentials are good: from now on they have a line of their own."""
    _known[caller] = None
    _known.move_to_end(caller)
    while len(_known) > KEPT:
        _known.popitem(last=False)


@contextmanager
def turn(caller: int) -> Iterator[None]:
    """Wait for one's turn, and have it.

    :raises TooManyCalls: the line is too long.
    """
    size = conf().MAX_CLIENT_CALLS
    if not size:
        yield
        return
    name = caller if caller in _known else _STRANGERS
    with _lock:
        line = _lines.get(name)
        if line is None:
            line = _lines[name] = _Line(size)
        if line.calls - line.aside >= size + MAX_WAITING:
            raise TooManyCalls
        line.calls += 1
    mine = _Turn(line)
    token = _current.set(mine)
    try:
        mine.take()
        yield
    finally:
        _current.reset(token)
        mine.give_back()
        with _lock:
            line.calls -= 1
            if not line.calls:
                _lines.pop(name, None)


@contextmanager
def aside() -> Iterator[None]:
    """Let others have the turn of this call, which waits for something else: meanwhile it does not
    make the line longer, or those who send bodies slowly would keep all strangers out."""
    mine = _current.get()
    if mine is None:
        yield
        return
    with _lock:
        mine.line.aside += 1
    mine.give_back()
    try:
        yield
    finally:
        with _lock:
            mine.line.aside -= 1
        mine.take()
