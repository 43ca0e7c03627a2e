"""One device, one push: the ids of deliveries, whatever the spelling of the address."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from uuid import UUID

from ..backends.spellings import canonical_of
from ..models.identifiers import delivery_id


def delivery_ids(root_id: UUID, alias: str) -> Callable[[str], UUID]:
    """Return a function from addresses to the ids of their deliveries.

    :param root_id: the key of the request as it was submitted.
    :param alias: the backend of the request.
    """
    canonical = canonical_of(alias)
    if canonical is None:
        return partial(delivery_id, root_id)
    return lambda address: delivery_id(root_id, canonical(address))
