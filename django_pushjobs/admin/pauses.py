"""Backends that refused our credentials: to look at, and to set going again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from .. import services
from ..models import Pause
from .times import moment

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Pause]
else:
    _ModelAdmin = admin.ModelAdmin


class PauseAdmin(_ModelAdmin):
    """A pause ends by itself as soon as a probe is accepted; here somebody says so before."""

    list_display = ("backend", "error_code", "error", "since_shown", "until_shown", "failures")
    list_display_links = None
    actions = ("resume_selected",)
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Pause | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Pause | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Pause | None = None) -> bool:
        return super().has_view_permission(request, obj) or self.has_operate_permission(request)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Whether the user may end a pause: whoever may change them."""
        return super().has_change_permission(request)

    @admin.display(description=_("since"), ordering="since")
    def since_shown(self, row: Pause) -> SafeString | None:
        return moment(row.since)

    @admin.display(description=_("next probe"), ordering="until")
    def until_shown(self, row: Pause) -> SafeString | None:
        return moment(row.until)

    @admin.action(description=_("Resume the selected backends"), permissions=["operate"])
    def resume_selected(self, request: HttpRequest, queryset: QuerySet[Pause]) -> None:
        resumed = sum(services.resume(pause.backend) for pause in queryset)
        sentence = ngettext("%(count)d backend goes on.", "%(count)d backends go on.", resumed) % {
            "count": resumed
        }
        self.message_user(request, sentence, messages.SUCCESS)
