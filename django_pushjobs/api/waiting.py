"""``Prefer: respond-async, wait=N`` (RFC 7240): a call that waits until its request is done."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.request import parse_http_list

from django.db import connections

from ..broker import Unavailable
from ..conf import conf
from ..events.listeners import TooManyListeners, can_listen, hub
from ..models import PushRequest
from . import lines

logger = logging.getLogger(__name__)

#: Digits of a number of seconds that are read; more make no sense.
_DIGITS = 9

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a call prefers, as far as it can be granted.

    :param wait: seconds, capped by ``MAX_WAIT``; None if the call does not want to wait, or cannot.
    :param respond_async: whether 202 is as good as the final state.
    """

    wait: int | None = None
    respond_async: bool = False

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Preferences:
        """Read ``Prefer``. Unknown preferences are ignored; the first of a name counts."""
        found: dict[str, str] = {}
        for preference in parse_http_list(headers.get("Prefer", "")):
            name, _, value = preference.partition(";")[0].partition("=")
            found.setdefault(name.strip().lower(), value.strip().strip('"'))
        return cls(_seconds(found.get("wait", "")), "respond-async" in found)

    def applied(self, *, to_submit: bool) -> dict[str, str]:
        """Return ``Preference-Applied`` with what was granted."""
        granted = ["respond-async"] if self.respond_async and to_submit else []
        if self.wait is not None:
            granted.append(f"wait={self.wait}")
        return {"Preference-Applied": ", ".join(granted)} if granted else {}


def _seconds(value: str) -> int | None:
    most = conf().MAX_WAIT
    # In a server with threads a waiting call would take one from the others.
    if not (most and can_listen() and value.isascii() and value.isdecimal()):
        return None
    return min(int(value[:_DIGITS]), most)


def wait_for_end(row: PushRequest, seconds: int, look: Callable[[], PushRequest]) -> PushRequest:
    """Wait until ``row`` is final, for up to ``seconds``, and return it as it is then.

    Meanwhile no connection to the database is held. If this process cannot listen, it does not
    wait.

    :param look: reads the row.
    """
    if row.is_final or not seconds or row.client_id is None:
        return row
    try:
        with hub().listen(row.client_id, str(row.pk)) as listener:
            # It may have ended before we listened.
            row = look()
            if row.is_final:
                return row
            release_connections()
            with lines.aside():
                listener.wait_for_end(seconds)
    except (Unavailable, TooManyListeners) as error:
        logger.warning("cannot wait until push request %s is done: %r", row.pk, error)
        return row
    return look()


def release_connections() -> None:
    """Give back the connections to the database, before something that takes long.

    Django's objects for them are dropped as well: they take as much memory as all the rest of a
    waiting call.
    """
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()
            del connections[connection.alias]
