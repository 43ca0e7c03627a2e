"""How a backend is used: the keys of its entry beside ``BACKEND`` and ``OPTIONS``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..conf import conf
from ..exceptions import ConfigurationError
from ..states import OnUnknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How requests of one alias are treated.

    :param on_unknown: ``retry`` or ``stop``, for requests that do not choose.
    :param concurrency: the most requests that all workers together push at a time; None: no limit.
    :param rate: the most pushes per second by all workers together; None: no limit.
    """

    on_unknown: str = OnUnknown.RETRY
    concurrency: int | None = None
    rate: float | None = None

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Policy:
        """Return the policy in an entry of ``BACKENDS``.

        :raises ValueError: a value is wrong; the message names its key.
        """
        policy = cls(**{f: entry[f.upper()] for f in NAMES if f.upper() in entry})
        if policy.on_unknown not in OnUnknown.values:
            raise ValueError(f"ON_UNKNOWN must be one of {', '.join(OnUnknown.values)}")
        for name, value, kind in (
            ("CONCURRENCY", policy.concurrency, int),
            ("RATE", policy.rate, int | float),
        ):
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, kind) or not value > 0
            ):
                raise ValueError(f"{name} must be a number above 0")
        return policy


NAMES = tuple(f.name for f in fields(Policy))
#: The keys that an entry of BACKENDS may have.
ENTRY_KEYS = frozenset({"BACKEND", "OPTIONS", *(name.upper() for name in NAMES)})


def policy(alias: str) -> Policy:
    """Return the policy of ``alias``, or the default policy if the settings do not have the alias.

    :raises ConfigurationError: its entry is wrong.
    """
    entries = conf().BACKENDS
    kept = _kept.get(alias)
    if kept is None or kept[0] is not entries:
        try:
            kept = entries, Policy.read(entries.get(alias, {}))
        except ValueError as error:
            raise ConfigurationError(f"push backend {alias!r}: {error}") from error
        _kept[alias] = kept
    return kept[1]


#: Policies by alias, with the settings they were read from.
_kept: dict[str, tuple[object, Policy]] = {}
