"""Third parties and their keys."""

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
from rest_framework_api_key.crypto import KeyGenerator

from ..conf import conf


class Scope(models.TextChoices):
    """What a key may be used for."""

    SUBMIT = "submit", _("submit, cancel and retry push requests")
    READ = "read", _("read push requests and their receipts")
    CALLBACKS = "callbacks", _("manage callback endpoints")


class ApiClient(models.Model):
    """A third party that may ask us to push.

    A limit that is None is that of the settings; one that is 0 is none at all.
    """

    name = models.CharField(_("name"), max_length=100, unique=True)
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Keys of a client that is not active are refused.")
    )
    rate_limit = models.PositiveIntegerField(
        _("rate limit"),
        null=True,
        blank=True,
        help_text=_("Calls in RATE_WINDOW seconds. Empty: as in the settings; 0: no limit."),
    )
    daily_quota = models.PositiveIntegerField(
        _("daily quota"),
        null=True,
        blank=True,
        help_text=_("Push requests a day (UTC). Empty: as in the settings; 0: no limit."),
    )
    max_unfinished = models.PositiveIntegerField(
        _("unfinished push requests"),
        null=True,
        blank=True,
        help_text=_("At a time, and not final. Empty: as in the settings; 0: no limit."),
    )
    may_set_callback_url = models.BooleanField(
        _("may set callback URL"),
        default=False,
        help_text=_("A request may name a URL of its own, at the host of an endpoint."),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("API client")
        verbose_name_plural = _("API clients")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class ApiKeyManager(models.Manager["ApiKey"]):
    def issue(self, client: ApiClient, name: str, **fields: Any) -> tuple[ApiKey, str]:
        """Create a key and return it with its secret, which can never be read again."""
        secret, prefix, hashed = _keys.generate()
        return self.create(
            client=client, name=name, prefix=prefix, hashed_key=hashed, **fields
        ), secret

    def rotate(self, key: ApiKey, overlap: timedelta) -> tuple[ApiKey, str]:
        """Issue the successor of ``key``, with its name, scopes, networks and end, and return it
        with its secret. ``key`` itself expires after ``overlap``, if not before.
        """
        fields = ("scopes", "allowed_networks", "is_test", "expires_at")
        with transaction.atomic(using=self.db):
            successor, secret = self.issue(
                key.client, key.name, **{name: getattr(key, name) for name in fields}
            )
            end = timezone.now() + overlap
            if key.expires_at is None or key.expires_at > end:
                key.expires_at = end
                key.save(update_fields=["expires_at"])
        return successor, secret

    def authenticate(
        self, secret: str, among: models.QuerySet[ApiKey] | None = None
    ) -> ApiKey | None:
        """Return the valid key for ``secret`` with its client, or None. One query.

        :param among: the keys to look among, with whatever else shall be read on that occasion.
        """
        prefix = secret.partition(".")[0]
        if not prefix or len(prefix) > 16 or "\x00" in secret:
            return None
        keys = self.all() if among is None else among
        key = keys.select_related("client").filter(prefix=prefix).first()
        if key is None or not key.is_valid or not _keys.verify(secret, key.hashed_key):
            return None
        return key


#: Seconds between two times that are written to ``last_used_at``.
LAST_USED_PRECISION = 60

#: Random keys of 32 letters and digits, kept as SHA-512.
_keys = KeyGenerator()


def all_scopes() -> list[str]:
    """What a key is good for where nobody said otherwise."""
    return [*Scope.values]


def parse_address(text: str) -> IPv4Address | IPv6Address:
    """Return an IP address; that of an IPv4 host as such, however IPv6 dresses it up.

    :raises ValueError: it is none.
    """
    address = ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address


def validate_networks(networks: Sequence[str]) -> None:
    """
    :raises ValidationError: one of them is no network in CIDR notation.
    """
    for network in networks:
        try:
            ip_network(network)
        except ValueError:
            raise ValidationError(
                _("%(network)s is no network such as 192.0.2.0/24 or 2001:db8::/32."),
                code="invalid_network",
                params={"network": network},
            ) from None


class ApiKey(models.Model):
    """A key of a client. Only its hash is stored.

    :ivar allowed_networks: in CIDR notation; where there are any, a call comes from one of them.
    :ivar is_test: bound to the backend ``TEST_BACKEND`` of the settings, whatever a call names.
    :ivar last_used_at: to about a minute.
    """

    client = models.ForeignKey(
        ApiClient, models.CASCADE, related_name="keys", verbose_name=_("client")
    )
    name = models.CharField(_("name"), max_length=100, help_text=_("Where the key is used."))
    prefix = models.CharField(_("prefix"), max_length=16, unique=True, editable=False)
    hashed_key = models.CharField(max_length=150, editable=False)
    scopes = models.JSONField(_("scopes"), default=all_scopes)
    allowed_networks = models.JSONField(
        _("allowed networks"), default=list, blank=True, validators=[validate_networks]
    )
    is_test = models.BooleanField(
        _("test key"),
        default=False,
        help_text=_("Whatever is asked with it goes to the sandbox; it sees nothing else."),
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
    def is_valid(self) -> bool:
        """Neither revoked nor expired, its client is active, and where it is a test key, there
        is something to test with."""
        expired = self.expires_at is not None and self.expires_at <= timezone.now()
        idle = self.is_test and not conf().TEST_BACKEND
        return self.revoked_at is None and not expired and not idle and self.client.is_active

    def permits(self, address: str | None) -> bool:
        """Whether this key may be used from an IP address; None is one that nobody knows."""
        if not self.allowed_networks:
            return True
        try:
            caller = parse_address(address or "")
        except ValueError:
            return False
        return any(caller in ip_network(network) for network in self.allowed_networks)

    def note_use(self) -> None:
        """Remember that it is used now. Writes once in a minute, however many calls there are."""
        now = timezone.now()
        before = now - timedelta(seconds=LAST_USED_PRECISION)
        if self.last_used_at is None or self.last_used_at <= before:
            unknown = Q(last_used_at=None) | Q(last_used_at__lte=before)
            ApiKey.objects.filter(unknown, pk=self.pk).update(last_used_at=now)
            self.last_used_at = now

    def revoke(self) -> None:
        """Refuse this key from now on, for good; revoking it again changes nothing."""
        if self.revoked_at is None:
            self.revoked_at = timezone.now()
            self.save(update_fields=["revoked_at"])
