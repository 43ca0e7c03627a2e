"""Deliveries: what became of each address of a push request."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ..states import DeliveryStatus
from .primary import PrimaryModel
from .push_requests import PushRequest


class Delivery(PrimaryModel):
    """One address of a push request, and its outcome. Written when the outcome is known."""

    id = models.UUIDField(primary_key=True, editable=False)
    request = models.ForeignKey(
        PushRequest, models.CASCADE, related_name="deliveries", verbose_name=_("push request")
    )
    address = models.TextField(_("address"))
    status = models.CharField(_("status"), max_length=16, choices=DeliveryStatus.choices)
    provider_id = models.CharField(_("provider ID"), max_length=255, blank=True)
    error_code = models.CharField(_("error code"), max_length=64, blank=True)
    error = models.TextField(_("error"), blank=True)
    attempts = models.PositiveIntegerField(_("attempts"), default=1)
    next_attempt_at = models.DateTimeField(_("next attempt"), null=True, blank=True)
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
        # Not the address: this ends up in logs and page titles.
        return f"{self.id}"
