"""From recipients, whom a request names, to addresses, which a backend can push to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Self

from django.utils.module_loading import import_string

from .conf import conf
from .exceptions import ConfigurationError

#: What a request may name as one recipient: an address, or {kind: value}.
Recipient = str | dict[str, Any]

MAX_ADDRESS = 2_048


class RegisteredAddress(str):
    """An address of which it is known when its device last registered it.

    :ivar registered_at: aware. A provider may say that the address has been dead since a moment
        before that; then it is mistaken.
    """

    __slots__ = ("registered_at",)

    registered_at: datetime

    def __new__(cls, address: str, registered_at: datetime) -> Self:
        made = super().__new__(cls, address)
        made.registered_at = registered_at
        return made


class BaseResolver:
    """Turns the recipients of one kind into addresses.

    Subclasses declare their ``OPTIONS`` as keyword arguments of ``__init__``.
    """

    def __init__(self, *, kind: str) -> None:
        self.kind = kind

    def validate(self, value: Any) -> str | None:
        """Return in a sentence what is wrong with ``value``, or None. Must make no queries."""
        return None

    def resolve(self, values: Sequence[Any], *, backend: str) -> Iterable[str]:
        """Return the addresses of ``values`` for the backend with the alias ``backend``.

        If it is known when they were registered, make them :class:`RegisteredAddress`.
        """
        raise NotImplementedError("a resolver implements resolve()")


class AddressResolver(BaseResolver):
    """The recipient is the address: a device token, a subscription, a phone number."""

    def validate(self, value: Any) -> str | None:
        if not isinstance(value, str):
            return "an address is a string"
        if not value.strip():
            return "an address may not be blank"
        if len(value) > MAX_ADDRESS:
            return f"an address has at most {MAX_ADDRESS} characters"
        if not value.isprintable():
            return "an address may not hold control characters"
        return None

    def resolve(self, values: Sequence[Any], *, backend: str) -> Iterable[str]:
        return values


def split(recipient: Recipient) -> tuple[str, Any]:
    """Return the kind and the value of one recipient.

    :raises ValueError: it is neither a string nor an object with one key.
    """
    if isinstance(recipient, str):
        return "address", recipient
    if isinstance(recipient, dict) and len(recipient) == 1:
        return next(iter(recipient.items()))
    raise ValueError('a recipient is an address or an object with one key, such as {"address": …}')


def resolver(kind: str) -> BaseResolver:
    """Return the resolver of one kind of recipient.

    :raises LookupError: there is none for this kind.
    :raises ConfigurationError: its settings are wrong.
    """
    entry = conf().RESOLVERS[kind]
    kept = _kept.get(kind)
    if kept is None or kept[0] is not entry:
        kept = _kept[kind] = entry, _create(kind, entry)
    return kept[1]


#: Resolvers by kind, with the settings they were made from.
_kept: dict[str, tuple[object, BaseResolver]] = {}


def _create(kind: str, entry: Mapping[str, Any]) -> BaseResolver:
    try:
        instance = import_string(entry["RESOLVER"])(kind=kind, **entry.get("OPTIONS", {}))
    except (ImportError, TypeError, KeyError, ValueError) as error:
        raise ConfigurationError(f"recipient resolver {kind!r}: {error}") from error
    if not isinstance(instance, BaseResolver):
        raise ConfigurationError(f"recipient resolver {kind!r} is not a BaseResolver")
    return instance


def problem_with(recipient: Recipient) -> str | None:
    """Return in a sentence what is wrong with one recipient, or None."""
    try:
        kind, value = split(recipient)
        return resolver(kind).validate(value)
    except LookupError:
        return f"unknown kind of recipient: {kind!r}"
    except ValueError as error:
        return str(error)


def resolve(
    recipients: Iterable[Recipient],
    *,
    backend: str,
    canonical: Callable[[str], str] | None = None,
) -> Iterator[str]:
    """Yield the addresses of all ``recipients``, each once, as their resolvers find them.

    :param canonical: returns what all spellings of an address have in common: only the first of
        them is yielded. None if each address has only one.
    """
    by_kind: dict[str, list[Any]] = {}
    for recipient in recipients:
        kind, value = split(recipient)
        by_kind.setdefault(kind, []).append(value)
    seen: set[str] = set()
    for kind, values in by_kind.items():
        for address in resolver(kind).resolve(values, backend=backend):
            form = address if canonical is None else canonical(address)
            if form not in seen:
                seen.add(form)
                yield address
