"""A backend that answers what a test says for an address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils import timezone

from django_pushjobs.backends import (
    BasePushBackend,
    Message,
    Outcome,
    OutcomeClass,
    Target,
    accepted,
)
from django_pushjobs.limits import breaker
from django_pushjobs.models import Delivery, Pause, PushRequest


class Scripted(BasePushBackend):
    """Addresses lead to the origin before their colon; the one called ``nobody`` is unvouched."""

    script: ClassVar[dict[str, Outcome]] = {}
    pushed: ClassVar[list[str]] = []

    def origin_of(self, address: str) -> str | None:
        origin, colon, _ = address.partition(":")
        return None if origin == "nobody" else origin if colon else ""

    def push(self, message: Message, target: Target) -> Outcome:
        self.pushed.append(target.address)
        return self.script.get(target.address, accepted())


ENTRY: Mapping[str, Any] = {"BACKEND": f"{__name__}.Scripted"}
#: Two aliases of it, the first of which reaches the devices of users.
SETTINGS: Mapping[str, Any] = {
    "BACKENDS": {"scripted": ENTRY, "other": ENTRY},
    "DEFAULT_BACKEND": "scripted",
    "DEVICE_BACKENDS": {"other": "scripted"},
    "RESOLVERS": {
        "address": {"RESOLVER": "django_pushjobs.recipients.AddressResolver"},
        "user": {"RESOLVER": "django_pushjobs.devices.resolvers.UserResolver"},
    },
}


def outcome(kind: str, **fields: Any) -> Outcome:
    return Outcome(kind=OutcomeClass(kind), code=f"{kind}_code", detail=f"{kind} detail", **fields)


def begin() -> None:
    """Let announced pauses stand."""
    Pause.objects.update(since=timezone.now())
    breaker.forget()


def probe_is_due() -> None:
    Pause.objects.update(until=timezone.now())
    breaker.forget()


def everything_is_due() -> None:
    now = timezone.now()
    PushRequest.objects.filter(status="pending").update(next_attempt_at=now)
    Delivery.objects.filter(status="retrying").update(next_attempt_at=now)
