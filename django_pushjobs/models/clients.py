"""Third parties that may ask us to push."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .exact import ExactCharField
from .primary import PrimaryModel


class ApiClient(PrimaryModel):
    """A third party that may ask us to push.

    A limit that is None is the one in the settings; 0 means that there is no limit.

    The test keys of a client belong to another one, its double: whatever is a client's own, from
    push requests and callback endpoints to limits and Idempotency-Keys, is there twice, and
    neither of the two meets what the other one has.

    :ivar live: of such a double, the client whose test keys it has.
    """

    live = models.OneToOneField(
        "self",
        models.CASCADE,
        related_name="double",
        null=True,
        blank=True,
        editable=False,
        verbose_name=_("live client"),
    )
    name = ExactCharField(_("name"), max_length=100, unique=True)
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
    may_broadcast = models.BooleanField(
        _("may broadcast"),
        default=False,
        help_text=_("Its recipients may be topics and conditions, which reach many devices."),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("API client")
        verbose_name_plural = _("API clients")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def is_test(self) -> bool:
        """Whether its keys are test keys: its push requests go to ``TEST_BACKEND``."""
        return self.live_id is not None

    @property
    def may_call(self) -> bool:
        """Whether its keys are accepted."""
        return self.is_active and (self.live is None or self.live.is_active)

    def for_tests(self) -> ApiClient:
        """Return the client that its test keys belong to; it is made if there is none."""
        if self.is_test:
            return self
        name = f"{self.name[:85]} (test)"
        clients = ApiClient.objects.exclude(live=self)
        number = 1
        while clients.filter(name=name).exists():
            number += 1
            name = f"{self.name[:85]} (test {number})"
        return ApiClient.objects.get_or_create(live=self, defaults={"name": name})[0]
