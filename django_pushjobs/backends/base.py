"""The interface of a push backend, and the plain values that cross it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from ..exceptions import FieldError
from .outcomes import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is to be pushed, the same for every address of a request.

    ``data`` and ``options`` are JSON objects; ``data`` goes to the device, ``options`` to the
    provider. ``expires_at`` is aware; after it the message is worth nothing. ``attempt`` is the
    number of this attempt at the request, from 1.
    """

    request_id: UUID
    title: str = ""
    body: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    priority: str = "normal"
    collapse_key: str = ""
    expires_at: datetime | None = None
    traceparent: str = ""
    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One address of a request. ``delivery_id`` is the same at every attempt.

    ``registered_at`` is aware: when the device last gave us the address, where that is known.
    """

    delivery_id: UUID
    address: str
    registered_at: datetime | None = None


class BasePushBackend:
    """A way to the outside: one alias of ``PUSHJOBS["BACKENDS"]``, one instance a process.

    Subclasses declare their ``OPTIONS`` as keyword arguments of ``__init__``; one they do not
    know is a :class:`~django_pushjobs.exceptions.ConfigurationError` that names the alias.
    Instances are shared by all greenlets of a process, and made after the fork.
    """

    #: The provider replaces a message by a later one with the same collapse key or id.
    supports_collapse: ClassVar[bool] = False
    #: Bytes that the payload may have as JSON, or None where the provider sets no limit.
    max_payload: int | None = None
    #: A refusal of our credentials or settings (CONFIG) pauses the alias for everybody. Where it
    #: does not, it costs an attempt like any other trouble.
    can_be_paused: ClassVar[bool] = True

    def __init__(self, *, alias: str) -> None:
        self.alias = alias

    def payload(self, message: Message) -> dict[str, Any]:
        """Return what counts towards :attr:`max_payload`."""
        return {"title": message.title, "body": message.body, "data": dict(message.data)}

    def validate(self, message: Message) -> list[FieldError]:
        """Return what makes the message unacceptable to this provider; empty if nothing does.

        Called before a request is accepted, so a third party hears of it in the answer.
        """
        if self.max_payload is None:
            return []
        payload = self.payload(message)
        if (size := payload_size(payload)) <= self.max_payload:
            return []
        largest = max(payload, key=lambda name: payload_size(payload[name]))
        return [
            FieldError(
                f"/{largest}",
                f"the payload has {size} bytes, backend {self.alias!r} takes {self.max_payload}",
                "too_long",
            )
        ]

    def problem_with(self, address: str) -> str | None:
        """Return in a sentence why this provider cannot know ``address``, or None.

        Called for the addresses that a request names, before it is accepted. The sentence never
        holds the address.
        """
        return None

    def push(self, message: Message, target: Target) -> Outcome:
        """Push one message to one address and return the outcome.

        What the provider says, and a provider that cannot be reached, are outcomes. An
        exception is a bug: it is reported, and the push is tried again.
        """
        raise NotImplementedError("a push backend implements push()")

    def close(self) -> None:
        """Give back connections; called once when the process ends."""


def payload_size(payload: Any) -> int:
    """Return the bytes ``payload`` has as compact JSON in UTF-8."""
    return len(json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode())
