"""Third parties that may ask us to push."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class ApiClient(models.Model):
    """A third party that may ask us to push.

    A limit that is None is the one in the settings; 0 means that there is no limit.
    """

    name = models.CharField(_("name"), max_length=100, unique=True)
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("The keys of an inactive client are refused.")
    )
    rate_limit = models.PositiveIntegerField(
        _("rate limit"),
        null=True,
        blank=True,
        help_text=_(
            "Calls per RATE_WINDOW seconds. Leave empty to use the setting; 0 means no limit."
        ),
    )
    daily_quota = models.PositiveIntegerField(
        _("daily quota"),
        null=True,
        blank=True,
        help_text=_(
            "Push requests per day (UTC). Leave empty to use the setting; 0 means no limit."
        ),
    )
    max_unfinished = models.PositiveIntegerField(
        _("unfinished push requests"),
        null=True,
        blank=True,
        help_text=_("At the same time. Leave empty to use the setting; 0 means no limit."),
    )
    may_set_callback_url = models.BooleanField(
        _("may set callback URL"),
        default=False,
        help_text=_(
            "A push request may name its own URL, on the same host as one of the endpoints."
        ),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("API client")
        verbose_name_plural = _("API clients")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
