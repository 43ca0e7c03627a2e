"""The truth: what was asked, by whom, and what became of it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from rest_framework_api_key.crypto import KeyGenerator

from .identifiers import time_ordered_uuid
from .querysets import PushRequestQuerySet
from .states import ACTIVE, FINAL, DeliveryStatus, Priority, Status


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


class PushRequest(models.Model):
    """One message to one or many recipients, asked for once. See :mod:`.states`."""

    id = models.UUIDField(primary_key=True, default=time_ordered_uuid, editable=False)
    client = models.ForeignKey(
        ApiClient,
        models.PROTECT,
        related_name="push_requests",
        null=True,
        blank=True,
        verbose_name=_("client"),
        help_text=_("Empty where our own code asked."),
    )
    reference = models.CharField(
        _("reference"),
        max_length=255,
        blank=True,
        help_text=_("The third party's own name for it."),
    )

    # What to push, and to whom.
    recipients = models.JSONField(_("recipients"))
    title = models.TextField(_("title"), blank=True)
    body = models.TextField(_("body"), blank=True)
    data = models.JSONField(_("data"), default=dict, blank=True)
    options = models.JSONField(_("options"), default=dict, blank=True)
    backend = models.CharField(_("backend"), max_length=64)
    priority = models.CharField(
        _("priority"), max_length=8, choices=Priority.choices, default=Priority.NORMAL
    )
    collapse_key = models.CharField(_("collapse key"), max_length=64, blank=True)
    send_at = models.DateTimeField(_("send at"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)

    # How to find it in the logs of others.
    request_id = models.CharField(_("request id"), max_length=128, blank=True)
    traceparent = models.CharField(_("trace parent"), max_length=64, blank=True)

    # Where it stands.
    status = models.CharField(
        _("status"), max_length=16, choices=Status.choices, default=Status.QUEUED, editable=False
    )
    error_code = models.CharField(_("error code"), max_length=64, blank=True)
    error = models.TextField(_("error"), blank=True)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    attempt_limit = models.PositiveIntegerField(_("attempt limit"), default=5)
    next_attempt_at = models.DateTimeField(_("next attempt"), null=True, blank=True)
    cancel_requested_at = models.DateTimeField(_("cancel requested"), null=True, blank=True)

    # Who works on it: a token of the claiming process, and until when that is believed.
    owner = models.CharField(_("owner"), max_length=64, blank=True)
    lease_expires_at = models.DateTimeField(_("lease expires"), null=True, blank=True)

    # What became of it, counted by address.
    total = models.PositiveIntegerField(_("addresses"), default=0)
    accepted = models.PositiveIntegerField(_("accepted"), default=0)
    failed = models.PositiveIntegerField(_("failed"), default=0)
    dropped = models.PositiveIntegerField(_("dropped"), default=0)
    unknown = models.PositiveIntegerField(_("unknown"), default=0)
    result = models.JSONField(_("result"), null=True, blank=True)

    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    queued_at = models.DateTimeField(_("queued"), null=True, blank=True)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    updated_at = models.DateTimeField(_("updated"), default=timezone.now, editable=False)

    objects = PushRequestQuerySet.as_manager()

    class Meta:
        verbose_name = _("push request")
        verbose_name_plural = _("push requests")
        ordering = ("-id",)
        indexes = (
            models.Index(fields=("client", "-id"), name="pushjobs_by_client"),
            models.Index(fields=("reference", "client"), name="pushjobs_by_reference"),
            models.Index(fields=("status", "-id"), name="pushjobs_by_status"),
            # What the relay asks for every second: only the rows in that state are in them.
            models.Index(
                fields=("next_attempt_at",),
                name="pushjobs_due",
                condition=Q(status=Status.PENDING),
            ),
            models.Index(
                fields=("queued_at",), name="pushjobs_stranded", condition=Q(status=Status.QUEUED)
            ),
            models.Index(
                fields=("lease_expires_at",),
                name="pushjobs_stale",
                condition=Q(status=Status.RUNNING),
            ),
        )
        constraints = (
            models.CheckConstraint(
                name="pushjobs_status_is_known", condition=Q(status__in=Status.values)
            ),
            models.CheckConstraint(
                name="pushjobs_pending_has_a_time",
                condition=~Q(status=Status.PENDING) | Q(next_attempt_at__isnull=False),
            ),
            models.CheckConstraint(
                name="pushjobs_running_has_an_owner",
                condition=(
                    (Q(status=Status.RUNNING) & ~Q(owner="") & Q(lease_expires_at__isnull=False))
                    | (~Q(status=Status.RUNNING) & Q(owner="", lease_expires_at__isnull=True))
                ),
            ),
            models.CheckConstraint(
                name="pushjobs_final_has_an_end",
                condition=(
                    Q(status__in=sorted(FINAL), finished_at__isnull=False)
                    | Q(status__in=sorted(ACTIVE), finished_at__isnull=True)
                ),
            ),
        )

    def __str__(self) -> str:
        return self.reference or str(self.id)

    @property
    def is_final(self) -> bool:
        return self.status in FINAL


class Delivery(models.Model):
    """What became of one address of a push request; written with the outcome."""

    id = models.UUIDField(primary_key=True, editable=False)
    request = models.ForeignKey(
        PushRequest, models.CASCADE, related_name="deliveries", verbose_name=_("push request")
    )
    address = models.TextField(_("address"))
    status = models.CharField(_("status"), max_length=16, choices=DeliveryStatus.choices)
    provider_id = models.CharField(_("provider's id"), max_length=255, blank=True)
    error_code = models.CharField(_("error code"), max_length=64, blank=True)
    error = models.TextField(_("error"), blank=True)
    attempts = models.PositiveIntegerField(_("attempts"), default=1)
    started_at = models.DateTimeField(_("started"))
    finished_at = models.DateTimeField(_("finished"))

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        ordering = ("id",)
        constraints = (
            models.CheckConstraint(
                name="pushjobs_delivery_status_known", condition=Q(status__in=DeliveryStatus.values)
            ),
        )

    def __str__(self) -> str:
        # The address stays out of logs and page titles.
        return f"{self.id}"
