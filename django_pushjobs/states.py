"""The state machine of a push request, as data.

::

                       ┌───────────── retry, recovery ─────────────┐
                       ▼                                           │
    submit ──────▶  PENDING ──relay: due──▶ QUEUED ──claim──▶ RUNNING ──▶ SUCCEEDED
      │              ▲   │                  ▲  │  │                │       PARTIAL
      │              └───┼─── no Redis ─────┼──┘  │                └─────▶ FAILED
      └── due now ───────┼──────────────────┘     │
                         └──────┬─────────────────┘
                                ▼
                        CANCELED, EXPIRED

PENDING waits for its time (``next_attempt_at``); QUEUED is due and its job is on the queue;
RUNNING is claimed by one worker under a lease. Why a request ended is an error code beside
the state, not another state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Status(TextChoices):
    """Where a push request stands."""

    PENDING = "pending", _("pending")
    QUEUED = "queued", _("queued")
    RUNNING = "running", _("running")
    SUCCEEDED = "succeeded", _("succeeded")
    PARTIAL = "partial", _("partial")
    FAILED = "failed", _("failed")
    CANCELED = "canceled", _("canceled")
    EXPIRED = "expired", _("expired")


WAITING: Final = frozenset({Status.PENDING, Status.QUEUED})
ACTIVE: Final = WAITING | {Status.RUNNING}
FINAL: Final = frozenset(Status) - ACTIVE
#: Final, but an operator or the third party may ask for the failed addresses again.
RETRYABLE: Final = frozenset({Status.FAILED, Status.PARTIAL})

TRANSITIONS: Final[Mapping[Status, frozenset[Status]]] = {
    # PENDING -> FAILED has waited too long for a backend that refuses our credentials.
    Status.PENDING: frozenset({Status.QUEUED, Status.FAILED, Status.CANCELED, Status.EXPIRED}),
    # QUEUED -> QUEUED replaces a lost job; QUEUED -> PENDING is a job that could not be enqueued.
    Status.QUEUED: frozenset(
        {Status.QUEUED, Status.PENDING, Status.RUNNING, Status.CANCELED, Status.EXPIRED}
    ),
    Status.RUNNING: frozenset(
        {
            Status.PENDING,
            Status.SUCCEEDED,
            Status.PARTIAL,
            Status.FAILED,
            Status.CANCELED,
            Status.EXPIRED,
        }
    ),
    Status.SUCCEEDED: frozenset(),
    Status.PARTIAL: frozenset({Status.QUEUED}),
    Status.FAILED: frozenset({Status.QUEUED}),
    Status.CANCELED: frozenset(),
    Status.EXPIRED: frozenset(),
}


def sources(target: Status) -> list[Status]:
    """The states from which ``target`` may be entered."""
    return [state for state in Status if target in TRANSITIONS[state]]


class DeliveryStatus(TextChoices):
    """What is known about one address. ``accepted`` is the provider's word, never "delivered"."""

    RETRYING = "retrying", _("retrying")
    ACCEPTED = "accepted", _("accepted")
    FAILED = "failed", _("failed")
    DROPPED = "dropped", _("dropped")
    UNKNOWN = "unknown", _("unknown")


#: Columns of a request that count its addresses: all of them, and those with such a status.
COUNTS: Final = ("total", "accepted", "failed", "dropped", "unknown")


class OnUnknown(TextChoices):
    """What to do with an address if nobody knows whether the provider accepted the message.

    It was sent, and the process died or the connection was lost before the answer arrived.
    """

    RETRY = "retry", _("push again: it may show twice")
    STOP = "stop", _("leave it: it may never show")


#: Addresses that another attempt leaves alone.
SETTLED: Final = frozenset(DeliveryStatus) - {DeliveryStatus.RETRYING}
#: Of these, what is pushed again if somebody asks for a retry.
UNSUCCESSFUL: Final = frozenset({DeliveryStatus.FAILED, DeliveryStatus.UNKNOWN})


class Priority(TextChoices):
    """How urgent; each priority has its own queue name in the settings."""

    HIGH = "high", _("high")
    NORMAL = "normal", _("normal")
    LOW = "low", _("low")
