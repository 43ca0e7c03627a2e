"""What a provider's answer means, whoever the provider is."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

#: Characters; the most that is stored.
MAX_CODE: Final = 64
MAX_PROVIDER_ID: Final = 255
MAX_DETAIL: Final = 2_000

#: What PostgreSQL cannot store in a text: U+0000, and surrogates, which are not valid in UTF-8.
_UNSTORABLE: Final = re.compile(r"[\x00\ud800-\udfff]")


class OutcomeClass(StrEnum):
    """What to do after an answer."""

    OK = "ok"  # the provider accepted the message
    RETRY = "retry"  # try again after a wait
    DROP = "drop"  # the address is dead
    FAIL = "fail"  # this message will never be accepted
    CONFIG = "config"  # our credentials or settings are wrong
    THROTTLE = "throttle"  # we are too fast
    RECONNECT = "reconnect"  # the connection was lost before an answer


class Scope(StrEnum):
    """What an answer is about: what else it tells us something of."""

    MESSAGE = "message"  # this message, at this address
    ADDRESS = "address"  # everything that is pushed to this address
    ROUTE = "route"  # what the provider passes on to the same other one, such as APNs behind FCM
    CREDENTIALS = "credentials"  # everything pushed with our credentials, to the same origin
    PROVIDER = "provider"  # everything pushed to the same origin: nobody there takes it


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
    :param detail: the reason in a sentence, for people; at most :data:`MAX_DETAIL` characters;
        never contains the payload or the address.
    :param provider_id: the id that the provider gave to the message; at most
        :data:`MAX_PROVIDER_ID` characters.
    :param retry_after: seconds that the provider asked us to wait.
    :param unknown: the message was sent, but there was no answer: the provider may have accepted
        it. The request's ``on_unknown`` says whether to push it again.
    :param scope: what the outcome is about. Only refused credentials (CONFIG) and a provider that
        is away (PROVIDER, with a transient class) can pause the backend, or that origin of it, see
        ``BasePushBackend.origin_of``.
    :param dead_at: aware; of an address to drop: when the provider found it to be dead, if it says
        so. A device that registered the address later is not dropped.
    """

    kind: OutcomeClass
    code: str = ""
    detail: str = ""
    provider_id: str = ""
    retry_after: float | None = None
    unknown: bool = False
    scope: Scope = Scope.CREDENTIALS
    dead_at: datetime | None = None

    @property
    def is_transient(self) -> bool:
        return self.kind in TRANSIENT

    @property
    def is_shared(self) -> bool:
        """Whether others that are pushed to the same origin have to expect the same."""
        if self.scope is Scope.PROVIDER:
            return self.is_transient
        return self.kind is OutcomeClass.CONFIG and self.scope is Scope.CREDENTIALS


def accepted(provider_id: str = "") -> Outcome:
    """Return the outcome of a push that the provider accepted."""
    return Outcome(kind=OutcomeClass.OK, provider_id=provider_id)


def storable_id(value: object) -> str:
    """Return ``value`` if it can be stored as the id that a provider gave to a message, else ""."""
    if isinstance(value, str) and len(value) <= MAX_PROVIDER_ID and value.isprintable():
        return value
    return ""


def storable_text(value: object, limit: int) -> str:
    """Return ``value`` as a text of at most ``limit`` characters that any database can store.

    Characters that it cannot store become U+FFFD; None becomes "".
    """
    text = "" if value is None else value if isinstance(value, str) else str(value)
    if len(text) > limit:
        text = f"{text[: limit - 1]}…"
    return text if text.isprintable() else _UNSTORABLE.sub("\ufffd", text)


def storable(outcome: Outcome) -> Outcome:
    """Return ``outcome``, or one that says the same and can be stored.

    Backends may be third-party code that passes on whatever its provider said. The push has been
    made: what became of it must not be lost because of a character. An id that cannot be stored is
    left out, since a part of it would be the id of something else.

    :raises TypeError: it is not an outcome.
    :raises ValueError: its kind is not one of :class:`OutcomeClass`, or its scope none of
        :class:`Scope`.
    """
    if not isinstance(outcome, Outcome):
        raise TypeError(f"push() must return an Outcome, not {type(outcome).__name__}")
    if _is_storable(outcome):
        return outcome
    provider_id = outcome.provider_id
    if not isinstance(provider_id, str):
        provider_id = "" if provider_id is None else str(provider_id)
    return replace(
        outcome,
        kind=OutcomeClass(outcome.kind),
        code=storable_text(outcome.code, MAX_CODE),
        detail=storable_text(outcome.detail, MAX_DETAIL),
        provider_id=storable_id(provider_id),
        retry_after=_seconds(outcome.retry_after),
        unknown=bool(outcome.unknown),
        scope=Scope(outcome.scope),
    )


def _is_storable(outcome: Outcome) -> bool:
    """Return whether nothing needs to be changed; quickly, since it usually is so."""
    code, detail, provider_id = outcome.code, outcome.detail, outcome.provider_id
    wait = outcome.retry_after
    return (
        type(outcome.kind) is OutcomeClass
        and type(outcome.unknown) is bool
        and type(outcome.scope) is Scope
        and isinstance(code, str)
        and isinstance(detail, str)
        and isinstance(provider_id, str)
        and len(code) <= MAX_CODE
        and len(detail) <= MAX_DETAIL
        and len(provider_id) <= MAX_PROVIDER_ID
        and code.isprintable()
        and detail.isprintable()
        and provider_id.isprintable()
        and (wait is None or (isinstance(wait, int | float) and 0 <= wait < math.inf))
    )


def _seconds(wait: object) -> float | None:
    """Return ``wait`` if it is a number of seconds, else None."""
    if isinstance(wait, int | float) and 0 <= wait < math.inf:
        return wait
    return None
