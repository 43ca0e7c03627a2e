"""Pushes to nobody; the address decides the outcome, so third parties can test without a phone."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from .base import BasePushBackend, Message, Target
from .outcomes import Outcome, OutcomeClass, accepted

PREFIX: Final = "sandbox:"
#: Milliseconds; longer than any provider takes, and much shorter than JOB_TIMEOUT.
MAX_DELAY: Final = 30_000

#: What may follow the colon, and the outcome. All but ``unknown`` and ``timeout`` are answers; with
#: these two nobody knows whether the message was accepted.
OUTCOMES: Final[Mapping[str, Outcome]] = {
    "ok": accepted(),
    "slow": accepted(),
    "retry": Outcome(kind=OutcomeClass.RETRY, code="sandbox_retry", detail="try again later"),
    "throttle": Outcome(kind=OutcomeClass.THROTTLE, code="sandbox_throttle", detail="too fast"),
    "reconnect": Outcome(
        kind=OutcomeClass.RECONNECT, code="sandbox_reconnect", detail="the connection was lost"
    ),
    "timeout": Outcome(
        kind=OutcomeClass.RETRY, code="timeout", detail="no answer in time", unknown=True
    ),
    "unknown": Outcome(
        kind=OutcomeClass.RECONNECT,
        code="sandbox_unknown",
        detail="the connection was lost after the message was sent",
        unknown=True,
    ),
    "config": Outcome(
        kind=OutcomeClass.CONFIG, code="sandbox_config", detail="the credentials were refused"
    ),
    "gone": Outcome(kind=OutcomeClass.DROP, code="sandbox_gone", detail="the address is dead"),
    "fail": Outcome(
        kind=OutcomeClass.FAIL, code="sandbox_fail", detail="this message will never be accepted"
    ),
}

#: Maps the name of a parameter to its largest value.
_LIMITS: Final = {"ms": MAX_DELAY, "after": 86_400, "times": 1_000}
_NUMBER: Final = re.compile(r"[0-9]{1,6}")


@dataclass(frozen=True, slots=True)
class Script:
    """What an address asks for.

    :param outcome: the outcome of a push.
    :param ms: milliseconds that a push takes.
    :param times: attempts that have this outcome before the message is accepted; None: all.
    """

    outcome: Outcome
    ms: int = 0
    times: int | None = None

    @classmethod
    def read(cls, address: str) -> Script:
        """Return the script in ``address``.

        :raises ValueError: the address starts with :data:`PREFIX` but is wrong; the message says
            how.
        """
        if not address.startswith(PREFIX):
            return cls(OUTCOMES["ok"])
        name, *rest = address.removeprefix(PREFIX).split(";")
        if name not in OUTCOMES:
            raise ValueError(f"the outcomes of the sandbox are {', '.join(OUTCOMES)}")
        outcome = OUTCOMES[name]
        given = dict(_parameter(text, outcome) for text in rest)
        if "after" in given:
            outcome = replace(outcome, retry_after=given["after"])
        return cls(outcome, given.get("ms", 1_000 if name == "slow" else 0), given.get("times"))


def _parameter(text: str, outcome: Outcome) -> tuple[str, int]:
    name, _, value = text.partition("=")
    known = [n for n in _LIMITS if n == "ms" or outcome.is_transient]
    if name not in known:
        raise ValueError(f"the parameters of this outcome are {', '.join(known)}")
    if not _NUMBER.fullmatch(value) or int(value) > _LIMITS[name]:
        raise ValueError(f"{name} must be a whole number from 0 to {_LIMITS[name]}")
    return name, int(value)


class SandboxBackend(BasePushBackend):
    """Ends as the address says, see docs/howto/sandbox.rst; all other addresses are accepted."""

    # A third party that tests this must not stop the tests of all others.
    can_be_paused: ClassVar[bool] = False

    def __init__(self, *, alias: str, max_payload: int | None = 4_096) -> None:
        super().__init__(alias=alias)
        self.max_payload = max_payload

    def problem_with(self, address: str) -> str | None:
        try:
            Script.read(address)
        except ValueError as error:
            return str(error)
        return None

    def push(self, message: Message, target: Target) -> Outcome:
        try:
            script = Script.read(target.address)
        except ValueError as error:
            # Only a resolver can have brought it: problem_with() sees all other addresses.
            return Outcome(kind=OutcomeClass.FAIL, code="sandbox_typo", detail=str(error))
        if script.ms:
            time.sleep(script.ms / 1_000)
        is_over = script.times is not None and message.attempt > script.times
        if is_over or script.outcome.kind is OutcomeClass.OK:
            return accepted(provider_id=f"sandbox-{target.delivery_id}")
        return script.outcome
