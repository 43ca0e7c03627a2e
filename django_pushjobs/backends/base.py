"""The interface of a push backend, and the plain values that cross it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.core import checks

from ..conf import conf
from ..exceptions import FieldError
from .answers import Answers, Row
from .outcomes import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What to push, the same for every address of a request.

    ``data`` and ``options`` are JSON objects; ``data`` goes to the device, ``options`` to the
    provider. ``expires_at`` is aware; after it the message is worthless. ``attempt`` is the number
    of this attempt at the request, from 1.
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

    ``registered_at`` is aware: when the device last registered the address, if that is known.
    """

    delivery_id: UUID
    address: str
    registered_at: datetime | None = None


class BasePushBackend:
    """A way to a provider: one alias of ``PUSHJOBS["BACKENDS"]``, one instance per process.

    Subclasses declare their ``OPTIONS`` as keyword arguments of ``__init__``; an option that is not
    declared is a :class:`~django_pushjobs.exceptions.ConfigurationError` that names the alias. A
    subclass with :attr:`answer_rows` also takes the option ``answers`` and passes it on.

    All greenlets of a process share an instance. It is made after the fork.

    :param answers: see :class:`.answers.Answers`.
    :raises ValueError: an option is wrong.
    """

    #: The provider's name in a sentence, such as "APNs" or "the gateway".
    provider_name: ClassVar[str] = "the provider"
    #: What the answers of the provider mean. A backend that translates them otherwise has none.
    answer_rows: ClassVar[Sequence[Row]] = ()
    #: Bytes; the largest payload as JSON, or None if the provider sets no limit.
    max_payload: int | None = None
    #: Seconds; the longest that one push may take, or None if there is no limit.
    timeout: float | None = None
    #: Whether refusals of our credentials or settings, and outages, may pause the alias.
    can_be_paused: ClassVar[bool] = True

    def __init__(self, *, alias: str, answers: Mapping[str, str] | None = None) -> None:
        self.alias = alias
        #: What answers mean for this alias: call its method ``outcome``.
        self.answers = Answers(self.answer_rows, provider=self.provider_name, overrides=answers)

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """Return what ``manage.py check`` should report about this alias.

        Called if ``__init__`` has accepted the options, for what is suspicious or can only be
        judged as a whole. It must not use the network, the database or Redis. Extend what
        ``super().check(**kwargs)`` returns, and give each message an id that nobody else uses, such
        as ``sms.W001``; those of this package are ``django_pushjobs.W…``.
        """
        job_timeout = conf().JOB_TIMEOUT
        if self.timeout is None or self.timeout < job_timeout:
            return []
        return [
            checks.Warning(
                f"Push backend {self.alias!r}: the timeout of {self.timeout} seconds is not below "
                f"PUSHJOBS['JOB_TIMEOUT'], which is {job_timeout}.",
                hint="The job would be interrupted before the push times out.",
                id="django_pushjobs.W004",
            )
        ]

    def payload(self, message: Message) -> dict[str, Any]:
        """Return what counts towards :attr:`max_payload`."""
        return {"title": message.title, "body": message.body, "data": dict(message.data)}

    def validate(self, message: Message) -> list[FieldError]:
        """Return what makes the message unacceptable to this provider; empty if nothing does.

        Called before a request is accepted, so the third party gets the errors in the answer.
        """
        if self.max_payload is None:
            return []
        payload = self.payload(message)
        if (size := payload_size(payload)) <= self.max_payload:
            return []
        return [payload_too_large(payload, size, self.max_payload, self.alias)]

    def problem_with(self, address: str) -> str | None:
        """Return in a sentence why this provider cannot know ``address``, or None.

        Called for the addresses that a request names, before it is accepted. The sentence must not
        contain the address.
        """
        return None

    def canonical(self, address: str) -> str:
        """Return what all spellings of ``address`` have in common: the same for two addresses if,
        and only if, they reach the same device.

        A device is registered, and a request pushes, once for each canonical form, and the ids of
        deliveries are made from it, so it must never change. It is not pushed to: the address is.
        Called for every push; must not raise, not even for what :meth:`problem_with` refuses.
        """
        return address

    def reaches_many(self, address: str) -> bool:
        """Return whether ``address`` is not one device, but whoever has subscribed to something.

        Users cannot register such an address as a device of theirs, and third parties can name one
        only if their client may broadcast. Called for every address that a device has registered;
        must not raise.
        """
        return False

    def origin_of(self, address: str) -> str | None:
        """Return which provider ``address`` leads to, if addresses lead to different ones.

        What one provider says of our credentials says nothing about those of the others, and if one
        is away the others need not be. There
        should be few of them: a pause is kept for each that refuses us. Must not raise.

        :returns: at most 255 characters; "" if all addresses lead to the same one, and None if
            nobody vouches for the provider: then it speaks for no address but this one.
        """
        return ""

    def push(self, message: Message, target: Target) -> Outcome:
        """Push one message to one address and return the outcome.

        Whatever the provider says is an outcome, and so is a provider that cannot be reached. An
        exception is a bug: it is reported, and the push is tried again.
        """
        raise NotImplementedError("a push backend must implement push()")

    def close(self) -> None:
        """Give back connections. Called once, when the process ends."""


def payload_size(payload: Any) -> int:
    """Return the size of ``payload`` as compact JSON in UTF-8, in bytes."""
    return len(json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode())


def payload_too_large(parts: Mapping[str, Any], size: int, limit: int, alias: str) -> FieldError:
    """Return the error of a payload of ``size`` bytes, at the largest of its parts.

    :param parts: fields of the request that the payload is made of.
    """
    largest = max(parts, key=lambda name: payload_size(parts[name]))
    return FieldError(
        f"/{largest}",
        f"the payload has {size} bytes, but backend {alias!r} accepts at most {limit}",
        "too_long",
    )
