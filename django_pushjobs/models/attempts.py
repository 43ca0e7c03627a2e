"""The journal of a push request: its attempts."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .primary import PrimaryModel
from .push_requests import PushRequest


class AttemptEnd(models.TextChoices):
    """How an attempt ended."""

    SETTLED = "settled", _("ended the request")
    RETRY = "retry", _("will be retried")
    PAUSED = "paused", _("waiting for its backend")
    LOST = "lost", _("the worker was lost")


class Attempt(PrimaryModel):
    """One entry in the journal of a push request.

    If the first attempt ends its request, the request itself says so, and there is no entry: that
    is the common case, and writing entries for it would be most of the work.
    """

    request = models.ForeignKey(
        PushRequest, models.CASCADE, related_name="journal", verbose_name=_("push request")
    )
    number = models.PositiveIntegerField(_("number"))
    owner = models.CharField(_("owner"), max_length=64)
    end = models.CharField(_("end"), max_length=8, choices=AttemptEnd.choices)
    error_code = models.CharField(_("error code"), max_length=64, blank=True)
    error = models.TextField(_("error"), blank=True)
    #: Code of an outcome ("" for accepted) -> number of addresses with it in this attempt.
    codes = models.JSONField(_("outcomes"), default=dict)
    started_at = models.DateTimeField(_("started"), null=True)
    finished_at = models.DateTimeField(_("finished"))
    next_attempt_at = models.DateTimeField(_("next attempt"), null=True)

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.request_id} #{self.number}"
