"""Backends, and origins of a backend, that are paused."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .exact import ExactCharField
from .primary import PrimaryModel


class Pause(PrimaryModel):
    """A backend that refuses our credentials or settings, or that cannot be reached (an outage):
    nothing is pushed through it for now.

    Where the addresses of a backend lead to several providers, as those of Web Push do, it is one
    ``origin`` of it that is paused: the pushes to the others go on. If only addresses that one
    client named were concerned, it is paused for that client.

    It stands from ``since`` on: what is accepted before that proves that it is a mistake. From
    ``until`` on, one push is let through as a probe. The pause ends as soon as the provider accepts
    something, or when an operator ends it; a probe that fails prolongs it. It is reported once.
    """

    backend = ExactCharField(_("backend"), max_length=64)
    origin = ExactCharField(
        _("origin"),
        max_length=255,
        blank=True,
        default="",
        help_text=_("The provider that it is about; empty: the whole backend."),
    )
    # Not a foreign key: no engine but PostgreSQL would see that two rows without one are the same.
    client_id = models.PositiveBigIntegerField(
        _("client"), default=0, help_text=_("Whom alone it concerns; 0: everybody.")
    )
    is_outage = models.BooleanField(
        _("outage"), default=False, help_text=_("It cannot be reached; else it refuses us.")
    )
    error_code = models.CharField(_("error code"), max_length=64, blank=True)
    error = models.TextField(_("error"), blank=True)
    since = models.DateTimeField(_("since"), default=timezone.now)
    until = models.DateTimeField(_("until"))
    failures = models.PositiveIntegerField(_("failures"), default=1)
    probe = models.UUIDField(_("probe"), null=True, blank=True)
    is_reported = models.BooleanField(default=False, editable=False)

    class Meta:
        verbose_name = _("paused backend")
        verbose_name_plural = _("paused backends")
        ordering = ("backend", "origin", "client_id")
        constraints = (
            models.UniqueConstraint(
                fields=("backend", "origin", "client_id"), name="pushjobs_one_pause"
            ),
        )

    def __str__(self) -> str:
        text = f"{self.backend}: {self.origin}" if self.origin else self.backend
        return f"{text} (client {self.client_id})" if self.client_id else text
