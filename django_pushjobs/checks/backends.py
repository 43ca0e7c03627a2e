"""Checks of ``BACKENDS``, and of the settings that name one of its aliases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.core.checks import CheckMessage, Error

from ..backends import BasePushBackend, backends, policy
from ..backends.policies import ENTRY_KEYS
from ..models import Platform
from .entries import listed, malformed, not_a_class, sentence


def wrong_backends(
    entries: Mapping[Any, Any], *, ask: bool, **kwargs: Any
) -> Iterator[CheckMessage]:
    """Yield what is wrong with the entries, and what the backends report about themselves.

    :param ask: whether the backends are asked; they may rely on the types of all settings.
    :param kwargs: passed on to their ``check``.
    """
    shapeless = dict(
        malformed("BACKENDS", entries, "BACKEND", ENTRY_KEYS, check_id="django_pushjobs.E005")
    )
    yield from shapeless.values()
    for alias in (alias for alias in entries if alias not in shapeless):
        if problem := not_a_class(entries[alias]["BACKEND"], BasePushBackend):
            yield Error(
                f"PUSHJOBS['BACKENDS'][{alias!r}]: {problem}.",
                hint="Check the path, and that the packages the backend needs are installed.",
                id="django_pushjobs.E006",
            )
            continue
        try:
            backend = backends.create(alias)
            policy(alias)
        except Exception as error:
            yield Error(
                sentence(f"push backend {alias!r}", error),
                hint="docs/howto/backends.rst describes the options of each backend.",
                id="django_pushjobs.E007",
            )
            continue
        if ask:
            yield from _reported_by(backend, **kwargs)
        backend.close()


def _reported_by(backend: BasePushBackend, **kwargs: Any) -> Iterable[CheckMessage]:
    try:
        return list(backend.check(**kwargs))
    except Exception as error:
        return [
            Error(
                f"The system check of push backend {backend.alias!r} failed: {error!r}.",
                hint=f"This is a bug in {type(backend).__name__}.check().",
                id="django_pushjobs.E020",
            )
        ]


def wrong_default(entries: Mapping[Any, Any], alias: str) -> Iterator[CheckMessage]:
    if alias not in entries:
        yield Error(
            f"PUSHJOBS['DEFAULT_BACKEND'] is {alias!r}, which is not in PUSHJOBS['BACKENDS'].",
            hint=f"Its aliases are: {listed(entries)}.",
            id="django_pushjobs.E008",
        )


def wrong_test_backend(entries: Mapping[Any, Any], alias: str) -> Iterator[CheckMessage]:
    if alias and alias not in entries:
        yield Error(
            f"PUSHJOBS['TEST_BACKEND'] is {alias!r}, which is not in PUSHJOBS['BACKENDS'].",
            hint=f"Its aliases are: {listed(entries)}.",
            id="django_pushjobs.E018",
        )


def wrong_device_backends(
    entries: Mapping[Any, Any], aliases: Mapping[Any, Any]
) -> Iterator[CheckMessage]:
    for key, alias in aliases.items():
        where = f"PUSHJOBS['DEVICE_BACKENDS'][{key!r}]"
        if not isinstance(key, str) or key.partition(":")[0] not in Platform.values:
            yield Error(
                f"{where} is not for a known platform.",
                hint=f"Platforms are {', '.join(Platform.values)}; an app may follow: 'ios:app'.",
                id="django_pushjobs.E019",
            )
        elif not isinstance(alias, str) or alias not in entries:
            yield Error(
                f"{where} is {alias!r}, which is not in PUSHJOBS['BACKENDS'].",
                hint=f"Its aliases are: {listed(entries)}.",
                id="django_pushjobs.E019",
            )
