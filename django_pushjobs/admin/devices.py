"""Devices of our users: to look at, to drop and to revive."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from .. import devices
from ..devices.resolvers import key_problem
from ..models import Device, address_hash
from .badges import device_badge
from .times import moment

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Device]
else:
    _ModelAdmin = admin.ModelAdmin


class DeviceAdmin(_ModelAdmin):
    """Apps and pages register devices; an operator drops and revives them, and no more than that.

    The address is a capability: it is not shown, but it can be searched for.
    """

    list_display = ("short", "state_shown", "user", "platform", "app", "backend", "seen", "reason")
    list_filter = ("state", "platform", "backend")
    list_select_related = ("user",)
    search_fields = ("user__pk",)
    search_help_text = _("The key of a user, or a whole address.")
    show_full_result_count = False
    actions = ("drop_selected", "revive_selected")
    fields = (
        *("short", "state_shown", "reason", "evidence_shown", "since"),
        *("user", "platform", "app", "backend", "locale", "tags_shown", "registered", "seen"),
    )
    readonly_fields = fields

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Device], search_term: str
    ) -> tuple[QuerySet[Device], bool]:
        if not (term := search_term.strip()):
            return queryset, False
        if key_problem(term, get_user_model()) is None:
            return queryset.filter(user__pk=term), False
        return queryset.filter(address_hash=address_hash(term)), False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Device | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Device | None = None) -> bool:
        return super().has_view_permission(request, obj) or self.has_operate_permission(request)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Whether the user may drop and revive: whoever may change them."""
        return super().has_change_permission(request)

    @admin.display(description=_("address"))
    def short(self, row: Device) -> SafeString:
        return format_html("<code>{}…</code>", row.address_hash[:12])

    @admin.display(description=_("state"), ordering="state")
    def state_shown(self, row: Device) -> SafeString:
        return device_badge(row)

    @admin.display(description=_("evidence"))
    def evidence_shown(self, row: Device) -> SafeString | None:
        text = json.dumps(row.evidence, indent=2, ensure_ascii=False)
        return format_html("<pre>{}</pre>", text) if row.evidence else None

    @admin.display(description=_("tags"))
    def tags_shown(self, row: Device) -> str:
        return ", ".join(row.tags)

    @admin.display(description=_("state since"))
    def since(self, row: Device) -> SafeString | None:
        return moment(row.state_changed_at)

    @admin.display(description=_("registered"))
    def registered(self, row: Device) -> SafeString | None:
        return moment(row.registered_at)

    @admin.display(description=_("last seen"), ordering="last_seen_at")
    def seen(self, row: Device) -> SafeString | None:
        return moment(row.last_seen_at)

    @admin.action(description=_("Drop the selected devices"), permissions=["operate"])
    def drop_selected(self, request: HttpRequest, queryset: QuerySet[Device]) -> None:
        dropped = devices.drop(list(queryset.values_list("pk", flat=True)))
        sentence = ngettext(
            "%(count)d device is dropped.", "%(count)d devices are dropped.", dropped
        )
        self.message_user(request, sentence % {"count": dropped}, messages.SUCCESS)

    @admin.action(description=_("Revive the selected devices"), permissions=["operate"])
    def revive_selected(self, request: HttpRequest, queryset: QuerySet[Device]) -> None:
        revived = devices.revive(list(queryset.values_list("pk", flat=True)))
        sentence = ngettext(
            "%(count)d device is active again.", "%(count)d devices are active again.", revived
        )
        self.message_user(request, sentence % {"count": revived}, messages.SUCCESS)
