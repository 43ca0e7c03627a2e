"""The endpoints of all clients, kept in memory for as long as nobody changes one.

Every commit that ends push requests asks for them, and most clients have none.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

from django.db.models import F
from django.db.models.signals import post_delete

from ..db.statements import Statement
from ..models import CallbackEndpoint
from ..models.sites import ONLY, Site

#: Seconds after which a process looks again, whether or not it has heard of a change.
CACHED_FOR: Final = 30.0


class EndpointCache:
    """The endpoints as they are: whoever changes one says so by a number in the database, see
    :func:`touch`, and each question begins with reading it."""

    def __init__(self) -> None:
        self._endpoints: Mapping[int, list[CallbackEndpoint]] = {}
        self._version: int | None = None
        self._read_at = float("-inf")

    def by_client(self, using: str) -> Mapping[int, Iterable[CallbackEndpoint]]:
        """Return the endpoints of each client that has any, by the key of the client.

        An endpoint whose change was committed before the current transaction began is never missed.
        """
        version = next((row[0] for row in _version(using).fetch(using=using)), None)
        is_known = version is not None and version == self._version
        if not is_known or time.monotonic() - self._read_at > CACHED_FOR:
            found = defaultdict(list)
            rows = CallbackEndpoint.objects.using(using).only(
                "client_id", "event_types", "state", "url"
            )
            for endpoint in rows.order_by():
                found[endpoint.client_id].append(endpoint)
            self._endpoints, self._version = dict(found), version
            self._read_at = time.monotonic()
        return self._endpoints

    def clear(self) -> None:
        """Look again next time."""
        self._read_at = float("-inf")


endpoint_cache = EndpointCache()


def touch(*, using: str) -> None:
    """Say that an endpoint has been changed: in the same transaction, after the change."""
    Site.objects.using(using).filter(pk=ONLY).update(endpoints_version=F("endpoints_version") + 1)


@cache
def _version(using: str) -> Statement:
    sites = Site.objects.using(using).filter(pk=ONLY)
    return Statement.of_select(sites.values_list("endpoints_version"))


def _deleted(using: str, **kwargs: Any) -> None:
    touch(using=using)


# Also in the admin, and together with their client.
post_delete.connect(_deleted, sender=CallbackEndpoint, dispatch_uid="django_pushjobs.endpoint")
