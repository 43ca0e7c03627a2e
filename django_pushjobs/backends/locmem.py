"""Keeps messages in memory, for tests."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass

from .base import BasePushBackend, Message, Target
from .outcomes import Outcome, accepted


@dataclass(frozen=True, slots=True)
class Pushed:
    """One call of :meth:`LocMemBackend.push`."""

    alias: str
    message: Message
    target: Target
    outcome: Outcome


#: Every push of this process that had an outcome, oldest first.
outbox: list[Pushed] = []

_script: defaultdict[str | None, deque[Outcome | Exception]] = defaultdict(deque)


def script(*results: Outcome | Exception, address: str | None = None) -> None:
    """Decide how the next pushes end; after the last of ``results`` they are accepted again.

    :param results: outcomes are returned and exceptions raised, each once, in this order.
    :param address: only for pushes to this address; these do not use up results for any address.
    """
    _script[address].extend(results)


def clear() -> None:
    """Forget the outbox and the script."""
    outbox.clear()
    _script.clear()


class LocMemBackend(BasePushBackend):
    """Accepts every message into :data:`outbox`, unless :func:`script` decides otherwise."""

    def __init__(self, *, alias: str, max_payload: int | None = None) -> None:
        super().__init__(alias=alias)
        self.max_payload = max_payload

    def push(self, message: Message, target: Target) -> Outcome:
        result = _next(target.address)
        if isinstance(result, Exception):
            raise result
        outbox.append(Pushed(self.alias, message, target, result))
        return result


def _next(address: str) -> Outcome | Exception:
    for key in (address, None):
        if results := _script.get(key):
            return results.popleft()
    return accepted(provider_id=f"locmem-{len(outbox) + 1}")
