"""A worker process died: its successor takes over what it was doing, before it takes jobs."""

from __future__ import annotations

import logging
from functools import partial
from typing import Protocol

from django.db import DatabaseError

from ..broker.queues import endpoint_of, request_of
from ..callbacks import inheritance as calls
from ..db import clock
from ..db.readers import read
from ..runtime.processes import tokens_of
from . import recovery

logger = logging.getLogger(__name__)


class Fallen(Protocol):
    """The process that died: see :class:`~..worker.supervisor.children.Fallen`."""

    @property
    def pid(self) -> int: ...
    @property
    def culprit(self) -> str: ...
    @property
    def silence(self) -> float: ...


def inherit(fallen: Fallen) -> None:
    """Free the push requests and callback endpoints that a dead process of this machine held.

    The one whose job had blocked it rests, or ends. Nobody else frees them meanwhile, since the
    claims of a process that has a successor are left to that; if the database does not answer now,
    they are free when their leases have expired.
    """
    tokens = tokens_of(fallen.pid)
    try:
        freed = read(partial(_inherit, tokens, fallen))
    except DatabaseError as error:
        logger.error("Could not take over what process %d was doing: %s", fallen.pid, error)
        return
    if freed:
        logger.warning("Recovered %d push requests of process %d", freed, fallen.pid)


def _inherit(tokens: str, fallen: Fallen) -> int:
    request, endpoint = request_of(fallen.culprit), endpoint_of(fallen.culprit)
    calls.inherit(tokens, culprit=endpoint, silence=fallen.silence, rest=recovery.REST)
    return recovery.inherit(tokens, clock.now(), culprit=request, silence=fallen.silence)
