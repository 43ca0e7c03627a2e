"""Turn users and tags into the addresses of their devices.

A resolver yields the addresses that the backend of the request reaches, so it takes two requests to
reach a user both on a phone and in a browser. Addresses are read page by page, in the order of
their keys: memory use does not grow with the number of devices, and no cursor stays open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet

from ..backends import backends
from ..models import Device, DeviceState, DeviceTag
from ..recipients import BaseResolver, RegisteredAddress
from .validation import tag_problem

#: Rows per query.
PAGE: Final = 2_000
#: Users or tags per query.
NAMED: Final = 500


def pages(rows: QuerySet[Any], *columns: str) -> Iterator[tuple[Any, ...]]:
    """Yield ``columns`` of all ``rows`` in the order of their keys, with one query per page."""
    last: Any = None
    while True:
        after = rows if last is None else rows.filter(pk__gt=last)
        page = list(after.order_by("pk").values_list("pk", *columns)[:PAGE])
        for pk, *values in page:
            last = pk
            yield tuple(values)
        if len(page) < PAGE:
            return


def slices(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Yield ``values`` in slices that are short enough for one query."""
    for start in range(0, len(values), NAMED):
        yield values[start : start + NAMED]


def single(addresses: Iterable[str], backend: str) -> Iterator[str]:
    """Yield those of ``addresses`` that reach one device each.

    Whoever got a topic into the table, when its alias led elsewhere or through another app, must
    not have the messages of a user sent to everybody.
    """
    reaches_many = backends[backend].reaches_many
    return (address for address in addresses if not reaches_many(address))


def key_problem(value: Any, model: type[Model]) -> str | None:
    """Return a sentence that says why ``value`` cannot be a primary key of ``model``, or None.

    Makes no query.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        return "a user is identified by a primary key"
    try:
        model._meta.pk.run_validators(model._meta.pk.to_python(value))
    except (ValidationError, ValueError, OverflowError):
        return "this is not the primary key of a user"
    return None


class UserResolver(BaseResolver):
    """``{"user": key}``: all active devices of a user that the request's backend reaches."""

    def validate(self, value: Any) -> str | None:
        return key_problem(value, get_user_model())

    def resolve(self, values: Sequence[Any], *, backend: str) -> Iterable[str]:
        active = Device.objects.filter(backend=backend, state=DeviceState.ACTIVE)
        for users in slices(values):
            rows = pages(active.filter(user__in=users), "address", "registered_at")
            yield from single((RegisteredAddress(*row) for row in rows), backend)


class TagResolver(BaseResolver):
    """``{"tag": name}``: all active devices with this tag that the request's backend reaches."""

    def validate(self, value: Any) -> str | None:
        return tag_problem(value)

    def resolve(self, values: Sequence[Any], *, backend: str) -> Iterable[str]:
        tags = DeviceTag.objects.filter(device__backend=backend, device__state=DeviceState.ACTIVE)
        for names in slices(values):
            rows = pages(tags.filter(name__in=names), "device__address", "device__registered_at")
            yield from single((RegisteredAddress(*row) for row in rows), backend)
