"""Paused backends: they refuse our credentials or are away, and an operator can resume them."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from .. import services
from ..models import ApiClient, Pause
from .base import OperatedAdmin
from .formatting import moment_column


class PauseAdmin(OperatedAdmin[Pause]):
    """A pause ends by itself once a probe is accepted; here somebody can end it earlier."""

    list_display = (
        "backend",
        *("origin", "client_shown", "error_code", "error"),
        *("since_shown", "until_shown", "failures"),
    )
    list_display_links = None
    actions = ("resume_selected",)

    since_shown = moment_column("since", _("since"), ordering="since")
    until_shown = moment_column("until", _("next probe"), ordering="until")

    @admin.display(description=_("client"))
    def client_shown(self, pause: Pause) -> str:
        if not pause.client_id:
            return gettext("everybody")
        name = ApiClient.objects.filter(pk=pause.client_id).values_list("name", flat=True).first()
        return name or str(pause.client_id)

    @admin.action(description=_("Resume selected backends"), permissions=["operate"])
    def resume_selected(self, request: HttpRequest, queryset: QuerySet[Pause]) -> None:
        resumed = self.perform_each(
            request,
            queryset,
            lambda pause: services.resume(pause.backend, pause.origin),
            _("Resumed."),
        )
        done = ngettext(
            "%(count)d backend has been resumed.", "%(count)d backends have been resumed.", resumed
        )
        self.message_user(request, done % {"count": resumed}, messages.SUCCESS)
