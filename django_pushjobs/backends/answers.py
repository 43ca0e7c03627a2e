"""What the answers of a provider mean: a table, row by row, each with its source.

A backend brings its rows as :attr:`.base.BasePushBackend.answer_rows`. A row is found by the status
and the reason of an answer; what has no status has a word instead, such as ``timeout``. The most
specific row counts: ``410 Unregistered``, then ``* Unregistered``, ``410``, ``4xx`` and ``*``. The
option ``answers`` of a backend replaces rows, so nobody has to wait for a release if a provider
changes::

    "OPTIONS": {"answers": {"404": "drop", "400 NewReason": "config"}}
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http.client import responses
from types import MappingProxyType
from typing import Final

from .outcomes import Outcome, OutcomeClass, Scope

_ANSWER = re.compile(r"(?P<answer>[1-9][0-9]{2}|[1-9]xx|\*|[a-z_]+)(?: (?P<reason>[\w.-]{1,64}))?")

#: What an answer is about, unless its row says something else.
_SCOPES: Final = {
    OutcomeClass.OK: Scope.MESSAGE,
    OutcomeClass.FAIL: Scope.MESSAGE,
    OutcomeClass.DROP: Scope.ADDRESS,
    OutcomeClass.RETRY: Scope.ADDRESS,
    OutcomeClass.THROTTLE: Scope.ADDRESS,
    OutcomeClass.RECONNECT: Scope.ADDRESS,
    OutcomeClass.CONFIG: Scope.CREDENTIALS,
}

#: With these nobody who could take a message has seen it, whoever it is for: RFC 9110, sections
#: 15.6.3 to 15.6.5.
_AWAY: Final = frozenset({502, 503, 504})

#: Classes with which a provider's Retry-After is kept.
_WAITING = frozenset({OutcomeClass.RETRY, OutcomeClass.THROTTLE, OutcomeClass.RECONNECT})


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of answer and what it means.

    :param answer: a status, a class such as ``4xx``, ``*`` for any answer, or a word for what has
        no status.
    :param reason: the provider's own word; "" if it does not matter.
    :param kind: what to do.
    :param source: where the provider, or the standard, says so.
    :param detail: a sentence for people instead of "... answered 410 Unregistered"; ``{provider}``
        stands for the provider's name.
    :param code: instead of the reason, the status or the word.
    :param wait: seconds to wait if the provider does not send a Retry-After.
    :param renews: new credentials are worth one more try before this counts.
    :param unknown: the provider may have accepted the message all the same.
    :param about: what the answer is about, if that is not what its class says.
    """

    answer: str
    reason: str
    kind: OutcomeClass
    source: str
    detail: str = ""
    code: str = ""
    wait: float | None = None
    renews: bool = False
    unknown: bool = False
    about: Scope | None = None

    @property
    def scope(self) -> Scope:
        """What the answer is about."""
        return self.about or _SCOPES[self.kind]


class Answers:
    """The rows of one provider, with those of one alias on top.

    :param rows: a later row replaces an earlier one with the same answer and reason. Unless there
        are none, one must be for ``*``.
    :param provider: the provider's name in a sentence, such as "APNs" or "the gateway".
    :param overrides: the option ``answers``: maps ``"<status> <reason>"``, ``"<status>"``,
        ``"5xx"`` or ``"*"`` to the name of a class.
    :raises ValueError: there is no row for ``*``, an override names no answer or no class, or there
        are overrides but no rows.
    """

    def __init__(
        self, rows: Iterable[Row], *, provider: str, overrides: Mapping[str, str] | None = None
    ) -> None:
        self.provider = provider
        self._rows = {(row.answer, row.reason): row for row in rows}
        if self._rows and ("*", "") not in self._rows:
            raise ValueError("answer_rows needs a row for '*'")
        if overrides and not self._rows:
            raise ValueError("answers: this backend has no table of answers")
        for answer, kind in _checked(overrides):
            known = self._rows.get(answer)
            # A known answer keeps its sentence, and nothing else.
            detail = "" if known is None else known.detail
            self._rows[answer] = Row(*answer, kind, "the settings", detail)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows.values())

    def row(self, answer: int | str, reason: str = "") -> Row:
        """Return the row for an answer: a status or a word, and the reason given with it.

        :raises LookupError: there are no rows.
        """
        rows, key = self._rows, str(answer)
        found = None
        if reason:
            found = rows.get((key, reason)) or rows.get(("*", reason))
        found = found or rows.get((key, ""))
        if found is None and isinstance(answer, int):
            found = rows.get((f"{min(answer // 100, 5)}xx", ""))
        return found or rows["*", ""]

    def outcome(
        self,
        answer: int | str,
        reason: str = "",
        *,
        provider_id: str = "",
        retry_after: float | None = None,
        detail: str = "",
    ) -> Outcome:
        """Return what an answer means.

        The reason becomes the code only if the table has it: a provider's own words might repeat
        the payload or the address.

        :param provider_id: the provider's id of the message; kept if it was accepted.
        :param retry_after: seconds that the provider asks to wait; kept if there is a wait.
        :param detail: added to the sentence; must not contain the payload or the address.
        :raises LookupError: there are no rows.
        """
        row = self.row(answer, reason)
        if row.kind is OutcomeClass.OK:
            return Outcome(kind=row.kind, provider_id=provider_id)
        sentence = self._sentence(row, answer)
        is_status = isinstance(answer, int)
        waits = row.kind in _WAITING
        return Outcome(
            kind=row.kind,
            code=row.code or row.reason or (f"http_{answer}" if is_status else str(answer)),
            detail=f"{sentence}: {detail}" if detail else sentence,
            retry_after=(row.wait if retry_after is None else retry_after) if waits else None,
            unknown=row.unknown,
            scope=_scope(row, answer),
        )

    def _sentence(self, row: Row, answer: int | str) -> str:
        if row.detail:
            return row.detail.format(provider=self.provider)
        said = row.reason or (responses.get(answer, "") if isinstance(answer, int) else "")
        return f"{self.provider} answered {answer} {said}".rstrip()


def _scope(row: Row, answer: int | str) -> Scope:
    is_away = answer in _AWAY and row.kind in (OutcomeClass.RETRY, OutcomeClass.RECONNECT)
    return Scope.PROVIDER if is_away and row.about is None else row.scope


def _checked(
    overrides: Mapping[str, str] | None,
) -> Iterable[tuple[tuple[str, str], OutcomeClass]]:
    if not isinstance(overrides, Mapping | None):
        raise ValueError("answers must be a dict")
    for key, kind in (overrides or {}).items():
        match = _ANSWER.fullmatch(key) if isinstance(key, str) else None
        if match is None:
            raise ValueError(
                f"answers: {key!r} is not an answer, such as '410', '410 Unregistered' or '5xx'"
            )
        if kind not in CLASSES:
            raise ValueError(f"answers: {key!r} must be one of {', '.join(CLASSES)}")
        yield (match["answer"], match["reason"] or ""), CLASSES[kind]


#: What an override may say.
CLASSES: Final[Mapping[str, OutcomeClass]] = MappingProxyType(
    {kind.value: kind for kind in OutcomeClass}
)
