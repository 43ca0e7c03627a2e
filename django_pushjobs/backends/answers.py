"""What the answers of providers mean: a table, row by row, each with its source.

A row is looked up by the status and the reason of an answer; what the provider does not say in an
HTTP status has a word of its own, such as ``goaway`` or ``timeout``. The most telling row counts:
``410 Unregistered``, then ``* Unregistered``, then ``410``, then ``4xx``, then ``*``. A backend
takes rows of its own as the option ``answers``, so nobody waits for us where a provider changes::

    "OPTIONS": {"answers": {"404": "drop", "400 NewReason": "config"}}
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from http.client import responses
from types import MappingProxyType
from typing import Any, Final

from .outcomes import Outcome, OutcomeClass
from .provider_rows import PROVIDERS, Row

_ANSWER = re.compile(r"(?P<answer>[1-9][0-9]{2}|[1-9]xx|\*|[a-z_]+)(?: (?P<reason>[\w.-]{1,64}))?")

#: What a provider's Retry-After is kept for.
_WAITING = frozenset({OutcomeClass.RETRY, OutcomeClass.THROTTLE, OutcomeClass.RECONNECT})


@dataclass(frozen=True, slots=True)
class Meaning:
    """A row that was found for an answer.

    ``code`` is a reason only where the table knows it: a provider's own words might repeat the
    payload or the address.
    """

    row: Row
    code: str
    detail: str

    @property
    def kind(self) -> OutcomeClass:
        return self.row.kind


class Answers:
    """The rows of one provider, with those of one alias on top.

    :param provider: a key of :data:`~django_pushjobs.backends.provider_rows.PROVIDERS`.
    :param overrides: the option ``answers``: ``"<status> <reason>"``, ``"<status>"``, ``"5xx"`` or
        ``"*"`` to the name of a class.
    :raises ValueError: an override names no answer, or no class.
    """

    def __init__(self, provider: str, overrides: Mapping[str, str] | None = None) -> None:
        self.provider = provider
        self._name, rows = PROVIDERS[provider]
        self._rows = _by_answer(rows)
        for answer, kind in _checked(overrides):
            known = self._rows.get(answer)
            own = Row(*answer, kind=kind, source="the settings")
            # A known answer keeps its words; what was special about it is not asked for any more.
            self._rows[answer] = own if known is None else replace(own, detail=known.detail)

    def __iter__(self) -> Any:
        return iter(self._rows.values())

    def row(self, answer: int | str, reason: str = "") -> Row:
        """Return the row for an answer: a status or a word, and the reason given with it."""
        keys = [(str(answer), reason), ("*", reason)] if reason else []
        keys.append((str(answer), ""))
        if isinstance(answer, int):
            keys.append((f"{min(answer // 100, 5)}xx", ""))
        return next((self._rows[key] for key in keys if key in self._rows), self._rows["*", ""])

    def meaning(self, answer: int | str, reason: str = "") -> Meaning:
        """Return the row for an answer, with the words for it."""
        row = self.row(answer, reason)
        code = row.code or row.reason or (f"http_{answer}" if isinstance(answer, int) else answer)
        if row.detail:
            detail = row.detail.format(provider=self._name)
        else:
            said = row.reason or (responses.get(answer, "") if isinstance(answer, int) else "")
            detail = f"{self._name} answered {answer} {said}".rstrip()
        return Meaning(row, code, detail)

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

        :param provider_id: the provider's name for the message, kept where it was taken.
        :param retry_after: seconds that the provider asks to wait; kept where there is a wait.
        :param detail: said besides; must not hold the payload or the address.
        """
        row = self.row(answer, reason)
        if row.kind is OutcomeClass.OK:
            return Outcome(kind=row.kind, provider_id=provider_id)
        meaning = self.meaning(answer, reason)
        waits = row.kind in _WAITING
        return Outcome(
            kind=row.kind,
            code=meaning.code,
            detail=f"{meaning.detail}: {detail}" if detail else meaning.detail,
            retry_after=(row.wait if retry_after is None else retry_after) if waits else None,
            unknown=row.unknown,
        )


def _by_answer(rows: Iterable[Row]) -> dict[tuple[str, str], Row]:
    return {(row.answer, row.reason): row for row in rows}


def _checked(
    overrides: Mapping[str, str] | None,
) -> Iterable[tuple[tuple[str, str], OutcomeClass]]:
    if not isinstance(overrides, Mapping | None):
        raise ValueError("answers must be a dict")
    for key, kind in (overrides or {}).items():
        match = _ANSWER.fullmatch(key) if isinstance(key, str) else None
        if match is None:
            raise ValueError(
                f"answers: {key!r} is not a status, such as '410', '410 Unregistered' or '5xx'"
            )
        if kind not in CLASSES:
            raise ValueError(f"answers: {key!r} must be one of {', '.join(CLASSES)}")
        yield (match["answer"], match["reason"] or ""), CLASSES[kind]


#: What an override may say.
CLASSES: Final[Mapping[str, OutcomeClass]] = MappingProxyType(
    {kind.value: kind for kind in OutcomeClass}
)
