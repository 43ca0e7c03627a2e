"""The keys of a client, as the lines of a table on its page."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.safestring import SafeString

from ..models import ApiKey
from .badges import key_badge
from .formatting import moment


@dataclass(frozen=True, slots=True)
class KeyLine:
    """One key in the table."""

    key: ApiKey

    @property
    def badge(self) -> SafeString:
        return key_badge(self.key)

    @property
    def scopes(self) -> str:
        return ", ".join(self.key.scopes)

    @property
    def networks(self) -> str:
        return ", ".join(self.key.allowed_networks)

    @property
    def created(self) -> SafeString | None:
        return moment(self.key.created_at)

    @property
    def last_used(self) -> SafeString | None:
        return moment(self.key.last_used_at)

    @property
    def expires(self) -> SafeString | None:
        return moment(self.key.expires_at)

    @property
    def revoked(self) -> SafeString | None:
        return moment(self.key.revoked_at)
