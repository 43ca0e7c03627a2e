"""What a provider's answer means, whoever the provider is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class OutcomeClass(StrEnum):
    """What to do after an answer."""

    OK = "ok"  # accepted by the provider
    RETRY = "retry"  # try again after a wait
    DROP = "drop"  # the address is dead
    FAIL = "fail"  # this message will never be accepted
    CONFIG = "config"  # our credentials or settings are wrong
    THROTTLE = "throttle"  # we are too fast
    RECONNECT = "reconnect"  # the connection was lost before an answer


#: Classes after which the same message to the same address is worth another attempt.
TRANSIENT = frozenset(
    {OutcomeClass.RETRY, OutcomeClass.CONFIG, OutcomeClass.THROTTLE, OutcomeClass.RECONNECT}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of one push to one address.

    :param kind: what to do now.
    :param code: the reason in a word, for programs: ``http_503``, ``timeout``, ``Unregistered``.
    :param detail: the reason in a sentence, for people; never the payload or the address.
    :param provider_id: the id the provider gave to the message.
    :param retry_after: seconds the provider asked us to wait.
    :param unknown: the message was sent, and nobody saw an answer: the provider may have taken
        it. Whether to push again is then up to the request's ``on_unknown``.
    """

    kind: OutcomeClass
    code: str = ""
    detail: str = ""
    provider_id: str = ""
    retry_after: float | None = None
    unknown: bool = False

    @property
    def is_transient(self) -> bool:
        return self.kind in TRANSIENT


def accepted(provider_id: str = "") -> Outcome:
    """Return the outcome of a push that the provider accepted."""
    return Outcome(kind=OutcomeClass.OK, provider_id=provider_id)
