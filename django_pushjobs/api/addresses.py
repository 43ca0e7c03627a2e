"""Which addresses a third party may read: those that it named itself.

A request may also name users and tags. The addresses of their devices are none of its business:
whoever knows an address can push to it, and register it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from uuid import UUID

from django.utils.crypto import salted_hmac

from ..backends.spellings import canonical_of
from ..models import PushRequest
from ..recipients import Recipient, split


def opaque(delivery_id: UUID) -> UUID:
    """Return an id that says nothing about the address, instead of the key of a delivery.

    The key is made from the address, so whoever has it can tell whether a guess is right, and of
    some addresses, such as phone numbers, there are few enough to try them all.
    """
    digest = salted_hmac(__name__, delivery_id.bytes, algorithm="sha256").digest()
    return UUID(bytes=digest[:16], version=5)


class NamedAddresses:
    """The plain addresses among the recipients of one push request."""

    def __init__(self, recipients: Iterable[Recipient], backend: str) -> None:
        """
        :param backend: the alias that pushes to them.
        """
        self._named = {value for kind, value in map(split, recipients) if kind == "address"}
        self._backend = backend

    @classmethod
    def of(cls, request: PushRequest) -> NamedAddresses:
        return cls(request.recipients, request.backend)

    def spelling_of(self, address: str) -> str | None:
        """Return ``address`` as the request spelled it; None if the request did not name it.

        What was pushed to may be another spelling, such as that of a device that was resolved, and
        hold more than the third party knows: the keys of a subscription.
        """
        if address in self._named:
            return address
        return self._by_form.get(self._canonical(address)) if self._named else None

    @cached_property
    def _by_form(self) -> Mapping[str, str]:
        # Needed only if some address was not named, or not in this spelling.
        return {self._canonical(address): address for address in self._named}

    def _canonical(self, address: str) -> str:
        canonical = canonical_of(self._backend)
        return address if canonical is None else canonical(address)
