"""One device, one push: the ids of deliveries, whatever the spelling of the address."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from uuid import UUID

from ..backends import BasePushBackend, backends
from ..exceptions import ConfigurationError
from ..models.identifiers import delivery_id


def canonical_of(alias: str) -> Callable[[str], str] | None:
    """Return the method ``canonical`` of a backend; None if each address has one spelling only, so
    that nobody has to call it."""
    try:
        backend = backends[alias]
    except ConfigurationError:
        # The attempt will end with this error; what is claimed beside it must not.
        return None
    return None if type(backend).canonical is BasePushBackend.canonical else backend.canonical


def delivery_ids(root_id: UUID, alias: str) -> Callable[[str], UUID]:
    """Return a function from addresses to the ids of their deliveries.

    :param root_id: the key of the request as it was submitted.
    :param alias: the backend of the request.
    """
    canonical = canonical_of(alias)
    if canonical is None:
        return partial(delivery_id, root_id)
    return lambda address: delivery_id(root_id, canonical(address))
