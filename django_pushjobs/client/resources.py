"""What the API returns, with types. Members that have no attribute here are in ``raw``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something did not succeed.

    :param code: for programs, such as ``http_410``.
    :param detail: for people.
    """

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of a push request, counted by address."""

    total: int = 0
    accepted: int = 0
    failed: int = 0
    dropped: int = 0
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class PushRequest:
    """The state of a push request.

    :param status: ``pending``, ``queued``, ``running``, or final: ``succeeded``, ``partial``,
        ``failed``, ``canceled``, ``expired``.
    :param done: whether ``status`` is final.
    """

    id: str
    status: str
    done: bool
    counts: Counts
    error: Failure | None
    reference: str
    created_at: datetime
    finished_at: datetime | None
    raw: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> PushRequest:
        return cls(
            id=raw["id"],
            status=raw["status"],
            done=raw["done"],
            counts=Counts(**{name: raw["counts"].get(name, 0) for name in _COUNTS}),
            error=_failure(raw),
            reference=raw["reference"],
            created_at=datetime.fromisoformat(raw["created_at"]),
            finished_at=_time(raw["finished_at"]),
            raw=raw,
        )


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one address.

    :param address: as you named it; None if you named a user or a tag instead.
    :param status: ``accepted``, ``retrying``, ``failed``, ``dropped`` (forget the address) or
        ``unknown``.
    :param provider_id: the provider's id of the message, if it gave one.
    """

    id: str
    address: str | None
    status: str
    error: Failure | None
    provider_id: str
    raw: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Receipt:
        return cls(
            id=raw["id"],
            address=raw["address"],
            status=raw["status"],
            error=_failure(raw),
            provider_id=raw.get("provider_id", ""),
            raw=raw,
        )


_COUNTS = tuple(Counts.__dataclass_fields__)


def _failure(raw: Mapping[str, Any]) -> Failure | None:
    error = raw.get("error")
    return Failure(error["code"], error["detail"]) if error else None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
