"""Third parties and their keys."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from rest_framework_api_key.crypto import KeyGenerator


class ApiClient(models.Model):
    """A third party that may ask us to push."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Keys of a client that is not active are refused.")
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

    def authenticate(self, secret: str) -> ApiKey | None:
        """Return the valid key for ``secret`` with its client, or None. One query."""
        prefix = secret.partition(".")[0]
        if not prefix or len(prefix) > 16 or "\x00" in secret:
            return None
        key = self.select_related("client").filter(prefix=prefix).first()
        if key is None or not key.is_valid or not _keys.verify(secret, key.hashed_key):
            return None
        return key


#: Random keys of 32 letters and digits, kept as SHA-512.
_keys = KeyGenerator()


class ApiKey(models.Model):
    """A key of a client. Only its hash is stored."""

    client = models.ForeignKey(
        ApiClient, models.CASCADE, related_name="keys", verbose_name=_("client")
    )
    name = models.CharField(_("name"), max_length=100, help_text=_("Where the key is used."))
    prefix = models.CharField(_("prefix"), max_length=16, unique=True, editable=False)
    hashed_key = models.CharField(max_length=150, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
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
        """Neither revoked nor expired, and its client is active."""
        expired = self.expires_at is not None and self.expires_at <= timezone.now()
        return self.revoked_at is None and not expired and self.client.is_active

    def revoke(self) -> None:
        """Refuse this key from now on, for good; revoking it again changes nothing."""
        if self.revoked_at is None:
            self.revoked_at = timezone.now()
            self.save(update_fields=["revoked_at"])
