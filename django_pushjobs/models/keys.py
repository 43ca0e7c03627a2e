"""The keys with which third parties call the API."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables
from rest_framework_api_key.crypto import KeyGenerator

from ..conf import conf
from .clients import ApiClient
from .exact import ExactCharField
from .primary import PrimaryManager, PrimaryModel

#: Seconds; ``last_used_at`` is not written more often than this.
LAST_USED_PRECISION = 60

#: Random keys of 32 letters and digits, stored as SHA-512.
_generator = KeyGenerator()


class Scope(models.TextChoices):
    """What a key may be used for."""

    SUBMIT = "submit", _("submit, cancel and retry push requests")
    READ = "read", _("read push requests and their receipts")
    CALLBACKS = "callbacks", _("manage callback endpoints")


class ApiKeyManager(PrimaryManager["ApiKey"]):
    @sensitive_variables()
    def issue(
        self, client: ApiClient, name: str, *, is_test: bool = False, **fields: Any
    ) -> tuple[ApiKey, str]:
        """Create a key, and return it with its secret, which cannot be read again.

        :param is_test: it belongs to :meth:`.ApiClient.for_tests`.
        """
        if is_test:
            client = client.for_tests()
        secret, prefix, hashed = _generator.generate()
        return self.create(
            client=client, name=name, prefix=prefix, hashed_key=hashed, **fields
        ), secret

    @sensitive_variables()
    def rotate(self, key: ApiKey, overlap: timedelta) -> tuple[ApiKey, str]:
        """Issue a successor of ``key``, and return it with its secret.

        The successor has the name, scopes, networks and expiry of ``key``, which itself expires
        after ``overlap``, if not earlier.
        """
        fields = ("scopes", "allowed_networks", "expires_at")
        with transaction.atomic(using=self.db):
            successor, secret = self.issue(
                key.client, key.name, **{name: getattr(key, name) for name in fields}
            )
            end = timezone.now() + overlap
            if key.expires_at is None or key.expires_at > end:
                key.expires_at = end
                key.save(update_fields=["expires_at"])
        return successor, secret

    @sensitive_variables()
    def authenticate(
        self, secret: str, among: models.QuerySet[ApiKey] | None = None
    ) -> ApiKey | None:
        """Return the valid key for ``secret`` with its client, or None. One query.

        :param among: the keys to choose from, with whatever else should be read in the same query.
        """
        prefix = secret.partition(".")[0]
        if not prefix or len(prefix) > 16 or "\x00" in secret:
            return None
        keys = self.all() if among is None else among
        key = keys.select_related("client__live").filter(prefix=prefix).first()
        if key is None or not key.is_valid or not _generator.verify(secret, key.hashed_key):
            return None
        return key


def all_scopes() -> list[str]:
    """The scopes of a key unless others are given."""
    return [*Scope.values]


def parse_address(text: str) -> IPv4Address | IPv6Address:
    """Return an IP address; an IPv4-mapped IPv6 address counts as IPv4.

    :raises ValueError: ``text`` is not an address.
    """
    address = ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address


def validate_networks(networks: Sequence[str]) -> None:
    """
    :raises ValidationError: one of them is not a network in CIDR notation.
    """
    for network in networks:
        try:
            ip_network(network)
        except ValueError:
            raise ValidationError(
                _("%(network)s is not a network such as 192.0.2.0/24 or 2001:db8::/32."),
                code="invalid_network",
                params={"network": network},
            ) from None


class ApiKey(PrimaryModel):
    """A key of a client. Only its hash is stored.

    :ivar allowed_networks: in CIDR notation; if there are any, calls must come from one of them.
    :ivar last_used_at: accurate to about a minute.
    """

    client = models.ForeignKey(
        ApiClient, models.CASCADE, related_name="keys", verbose_name=_("client")
    )
    name = models.CharField(_("name"), max_length=100, help_text=_("Where the key is used."))
    prefix = ExactCharField(_("prefix"), max_length=16, unique=True, editable=False)
    hashed_key = models.CharField(max_length=150, editable=False)
    scopes = models.JSONField(_("scopes"), default=all_scopes)
    allowed_networks = models.JSONField(
        _("allowed networks"), default=list, blank=True, validators=[validate_networks]
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True, editable=False)

    objects: ClassVar[ApiKeyManager] = ApiKeyManager()

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def is_test(self) -> bool:
        """Whether its push requests go to ``TEST_BACKEND``, whatever backend they name."""
        return self.client.is_test

    @property
    def is_valid(self) -> bool:
        """Whether it may be used: it is neither revoked nor expired, and its client is active.

        A test key also needs a ``TEST_BACKEND`` in the settings.
        """
        expired = self.expires_at is not None and self.expires_at <= timezone.now()
        idle = self.is_test and not conf().TEST_BACKEND
        return self.revoked_at is None and not expired and not idle and self.client.may_call

    def permits(self, address: str | None) -> bool:
        """Whether this key may be used from an IP address; None if the address is unknown."""
        if not self.allowed_networks:
            return True
        try:
            caller = parse_address(address or "")
        except ValueError:
            return False
        return any(caller in ip_network(network) for network in self.allowed_networks)

    def note_use(self) -> None:
        """Note that it has just been used. Writes at most once a minute, however many calls."""
        now = timezone.now()
        before = now - timedelta(seconds=LAST_USED_PRECISION)
        if self.last_used_at is None or self.last_used_at <= before:
            unknown = Q(last_used_at=None) | Q(last_used_at__lte=before)
            ApiKey.objects.filter(unknown, pk=self.pk).update(last_used_at=now)
            self.last_used_at = now

    def revoke(self) -> None:
        """Refuse this key from now on. It cannot be undone; revoking twice changes nothing."""
        if self.revoked_at is None:
            self.revoked_at = timezone.now()
            self.save(update_fields=["revoked_at"])
