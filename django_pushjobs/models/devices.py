"""The devices of the project's own users, and the state of their addresses."""

from __future__ import annotations

import hashlib

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .exact import ExactCharField
from .primary import PrimaryModel


class Platform(models.TextChoices):
    """The kind of a device; ``DEVICE_BACKENDS`` says which backend reaches it."""

    ANDROID = "android", _("Android")
    IOS = "ios", _("iOS")
    WEB = "web", _("browser")
    OTHER = "other", _("other")


class DeviceState(models.TextChoices):
    """Whether a device is pushed to. A DROPPED one becomes ACTIVE when it registers again."""

    ACTIVE = "active", _("active")
    DROPPED = "dropped", _("dropped")


def address_hash(address: str) -> str:
    """Return the SHA-256 of an address: short enough for an index in every database.

    :param address: in its canonical form, see ``BasePushBackend.canonical``.
    """
    return hashlib.sha256(address.encode()).hexdigest()


class Device(PrimaryModel):
    """An address at which a user can be reached, as registered by an app or a web page.

    :ivar address: as it was last spelled.
    :ivar address_hash: of its canonical form. No two devices have the same, whatever their platform
        and app: if they had, one browser could show the messages of two users.
    :ivar backend: the alias that reaches it, from ``DEVICE_BACKENDS`` when it was registered.
    :ivar reason: why it was dropped: the code of the provider's verdict, or ``operator``.
    :ivar evidence: of a verdict: ``detail``, ``push_request`` and ``delivery``.
    :ivar registered_at: the last time; earlier verdicts do not count.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="push_devices",
        null=True,
        blank=True,
        verbose_name=_("user"),
    )
    platform = models.CharField(_("platform"), max_length=16, choices=Platform.choices)
    app = ExactCharField(
        _("app"),
        max_length=100,
        blank=True,
        help_text=_("Which of your apps it is, if there are several."),
    )
    backend = ExactCharField(_("backend"), max_length=64)
    address = models.TextField(_("address"))
    address_hash = models.CharField(max_length=64, editable=False)
    locale = models.CharField(_("locale"), max_length=35, blank=True)
    state = models.CharField(
        _("state"), max_length=16, choices=DeviceState.choices, default=DeviceState.ACTIVE
    )
    reason = models.CharField(_("reason"), max_length=64, blank=True)
    evidence = models.JSONField(_("evidence"), default=dict, blank=True)
    state_changed_at = models.DateTimeField(_("state since"), default=timezone.now)
    registered_at = models.DateTimeField(_("registered"), default=timezone.now)
    last_seen_at = models.DateTimeField(_("last seen"), default=timezone.now)

    class Meta:
        verbose_name = _("device")
        verbose_name_plural = _("devices")
        ordering = ("-id",)
        permissions = (("view_address", "Can view addresses"),)
        indexes = (
            models.Index(fields=("backend", "state", "state_changed_at"), name="pushjobs_dropped"),
        )
        constraints = (
            models.UniqueConstraint(fields=("address_hash",), name="pushjobs_one_device"),
            models.CheckConstraint(
                name="pushjobs_device_state_known", condition=Q(state__in=DeviceState.values)
            ),
        )

    def __str__(self) -> str:
        # Not the address, nor its hash: this ends up in logs and page titles.
        return f"{self.platform} {self.pk}"

    @property
    def tags(self) -> list[str]:
        """The names of its tags, sorted."""
        return sorted(tag.name for tag in self.tag_rows.all())


class DeviceTag(PrimaryModel):
    """A topic that a device has subscribed to."""

    device = models.ForeignKey(Device, models.CASCADE, related_name="tag_rows")
    name = ExactCharField(_("tag"), max_length=64)

    class Meta:
        verbose_name = _("device tag")
        verbose_name_plural = _("device tags")
        ordering = ("name",)
        indexes = (models.Index(fields=("name", "id"), name="pushjobs_by_tag"),)
        constraints = (
            models.UniqueConstraint(fields=("device", "name"), name="pushjobs_tag_once"),
        )

    def __str__(self) -> str:
        return self.name
