"""What a provider's answer means, whoever the provider is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

#: Characters; the most that can be stored.
MAX_CODE: Final = 64
MAX_PROVIDER_ID: Final = 255


class OutcomeClass(StrEnum):
    """What to do after an answer."""

    OK = "ok"  # the provider accepted the message
    RETRY = "retry"  # try again after a wait
    DROP = "drop"  # the address is dead
    FAIL = "fail"  # this message will never be accepted
    CONFIG = "config"  # our credentials or settings are wrong
    THROTTLE = "throttle"  # we are too fast
    RECONNECT = "reconnect"  # the connection was lost before an answer


#: Classes after which pushing the same message to the same address again may succeed.
TRANSIENT = frozenset(
    {OutcomeClass.RETRY, OutcomeClass.CONFIG, OutcomeClass.THROTTLE, OutcomeClass.RECONNECT}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of one push to one address.

    :param kind: what to do now.
    :param code: the reason in a word, for programs: ``http_503``, ``timeout``, ``Unregistered``;
        at most :data:`MAX_CODE` characters.
    :param detail: the reason in a sentence, for people; never contains the payload or the address.
    :param provider_id: the id that the provider gave to the message; at most
        :data:`MAX_PROVIDER_ID` characters.
    :param retry_after: seconds that the provider asked us to wait.
    :param unknown: the message was sent, but there was no answer: the provider may have accepted
        it. The request's ``on_unknown`` says whether to push it again.
    :param dead_at: aware; of an address to drop: when the provider found it to be dead, if it says
        so. A device that registered the address later is not dropped.
    """

    kind: OutcomeClass
    code: str = ""
    detail: str = ""
    provider_id: str = ""
    retry_after: float | None = None
    unknown: bool = False
    dead_at: datetime | None = None

    @property
    def is_transient(self) -> bool:
        return self.kind in TRANSIENT


def accepted(provider_id: str = "") -> Outcome:
    """Return the outcome of a push that the provider accepted."""
    return Outcome(kind=OutcomeClass.OK, provider_id=provider_id)


def storable_id(value: object) -> str:
    """Return ``value`` if it can be stored as the id that a provider gave to a message, else ""."""
    if isinstance(value, str) and len(value) <= MAX_PROVIDER_ID and value.isprintable():
        return value
    return ""
