"""The endpoints of all clients, kept in memory for a moment.

Every commit that ends push requests asks for them, and most clients have none.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from ..models import CallbackEndpoint

#: Seconds for which a process does not look again.
CACHED_FOR: Final = 1.0


class EndpointCache:
    """The endpoints as they were at most :data:`CACHED_FOR` seconds ago."""

    def __init__(self) -> None:
        self._endpoints: Mapping[int, list[CallbackEndpoint]] = {}
        self._read_at = float("-inf")

    def by_client(self, using: str) -> Mapping[int, Iterable[CallbackEndpoint]]:
        """Return the endpoints of each client that has any, by the key of the client."""
        if time.monotonic() - self._read_at > CACHED_FOR:
            found = defaultdict(list)
            rows = CallbackEndpoint.objects.using(using).only(
                "client_id", "event_types", "state", "url"
            )
            for endpoint in rows.order_by():
                found[endpoint.client_id].append(endpoint)
            self._endpoints, self._read_at = dict(found), time.monotonic()
        return self._endpoints

    def clear(self) -> None:
        """Look again next time, because this process has just changed an endpoint."""
        self._read_at = float("-inf")


endpoint_cache = EndpointCache()
