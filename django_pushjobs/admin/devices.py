"""Devices of your users: to look at, to drop and to revive."""

from __future__ import annotations

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from .. import devices
from ..devices.resolvers import key_problem
from ..models import Device, address_hash
from .badges import device_badge
from .base import OperatedAdmin
from .formatting import EMPTY, json_block, moment_column, shortened
from .masking import masked


class DeviceAdmin(OperatedAdmin[Device]):
    """Apps and web pages register devices; an operator drops, revives or deletes them.

    An address is a capability, so it is not shown. Those who may see addresses can search for one:
    for all others, that would be a way to find out whose it is.
    """

    may_be_deleted = True
    list_display = (
        *("short_address", "state_shown", "user", "platform", "app", "backend"),
        *("last_seen", "reason"),
    )
    list_filter = ("state", "platform", "backend")
    list_select_related = ("user",)
    search_fields = ("user__pk",)
    search_help_text = _("The primary key of a user.")
    actions = ("drop_selected", "revive_selected")
    fields = (
        *("short_address", "state_shown", "reason", "evidence_shown", "since"),
        *("user", "platform", "app", "backend", "locale", "tags_shown", "registered", "last_seen"),
    )
    readonly_fields = fields

    since = moment_column("state_changed_at", _("state since"))
    registered = moment_column("registered_at", _("registered"))
    last_seen = moment_column("last_seen_at", _("last seen"), ordering="last_seen_at")

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        changes = super().get_changelist_instance(request)
        if self.may_see_addresses(request):
            changes.search_help_text = gettext("The primary key of a user, or a full address.")
        return changes

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Device], search_term: str
    ) -> tuple[QuerySet[Device], bool]:
        if not (term := search_term.strip()):
            return queryset, False
        if key_problem(term, get_user_model()) is None:
            return queryset.filter(user__pk=term), False
        if not self.may_see_addresses(request):
            return queryset.none(), False
        # Each backend has its own idea of how the address could be spelled.
        hashes = {address_hash(form) for form in devices.canonical_forms(term)}
        return queryset.filter(address_hash__in=hashes), False

    @admin.display(description=_("address"))
    def short_address(self, row: Device) -> SafeString:
        """Its end. Not its hash: the address of a hash can be found if there are few of them."""
        return shortened(masked(row.address, row.backend))

    @admin.display(description=_("state"), ordering="state")
    def state_shown(self, row: Device) -> SafeString:
        return device_badge(row)

    @admin.display(description=_("evidence"))
    def evidence_shown(self, row: Device) -> SafeString | str:
        # Not the key of the delivery, which is made from the address.
        return json_block({k: row.evidence[k] for k in row.evidence if k != "delivery"})

    @admin.display(description=_("tags"))
    def tags_shown(self, row: Device) -> str:
        return ", ".join(row.tags) or EMPTY

    @admin.action(description=_("Drop selected devices"), permissions=["operate"])
    def drop_selected(self, request: HttpRequest, queryset: QuerySet[Device]) -> None:
        dropped = self.perform_each(
            request, queryset, lambda device: devices.drop([device.pk]), _("Dropped.")
        )
        done = ngettext(
            "%(count)d device has been dropped.", "%(count)d devices have been dropped.", dropped
        )
        self.message_user(request, done % {"count": dropped}, messages.SUCCESS)

    @admin.action(description=_("Revive selected devices"), permissions=["operate"])
    def revive_selected(self, request: HttpRequest, queryset: QuerySet[Device]) -> None:
        revived = self.perform_each(
            request, queryset, lambda device: devices.revive([device.pk]), _("Revived.")
        )
        done = ngettext(
            "%(count)d device is active again.", "%(count)d devices are active again.", revived
        )
        self.message_user(request, done % {"count": revived}, messages.SUCCESS)
