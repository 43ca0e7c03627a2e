"""Callbacks with their attempts: to look at, and to replay."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from ..callbacks import replays
from ..models import CallbackEvent, CallbackStatus
from .badges import callback_badge
from .base import Button, OperatedAdmin
from .formatting import EMPTY, json_block, moment, moment_column, short_id

#: The page of a callback shows this many attempts, the latest ones.
SHOWN: Final = 50

REPLAY: Final = Button(name="replay", label=_("Replay"))


class CallbackEventAdmin(OperatedAdmin[CallbackEvent]):
    """Operating on a callback is replaying it."""

    list_display = (
        *("short_id", "status_shown", "type", "client", "attempts", "created", "next_attempt"),
    )
    list_filter = ("status", "type")
    list_select_related = ("endpoint__client",)
    search_fields = ("id", "request", "endpoint")
    search_help_text = _("The full ID of a callback, a push request or an endpoint.")
    sortable_by = ("created",)
    list_max_show_all = 0
    actions = ("replay_selected",)
    fields = (
        ("id", "type"),
        ("endpoint_shown", "request_shown"),
        ("status_shown", "attempts"),
        ("next_attempt", "finished"),
        "url",
        "data_shown",
    )
    readonly_fields = (
        *("id", "type", "endpoint_shown", "request_shown", "status_shown", "attempts"),
        *("next_attempt", "finished", "url", "data_shown"),
    )
    buttons = (REPLAY,)

    created = moment_column("created_at", _("created"), ordering="id")
    next_attempt = moment_column("next_attempt_at", _("next attempt"))
    finished = moment_column("finished_at", _("finished"))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[CallbackEvent], search_term: str
    ) -> tuple[QuerySet[CallbackEvent], bool]:
        if not (term := search_term.strip()):
            return queryset, False
        try:
            key = UUID(term)
        except ValueError:
            return queryset.none(), False
        return queryset.filter(Q(pk=key) | Q(request=key) | Q(endpoint=key)), False

    @admin.display(description=_("ID"))
    def short_id(self, row: CallbackEvent) -> SafeString:
        return short_id(row.pk)

    @admin.display(description=_("status"))
    def status_shown(self, row: CallbackEvent) -> SafeString:
        return callback_badge(row)

    @admin.display(description=_("client"))
    def client(self, row: CallbackEvent) -> str:
        return str(row.endpoint.client)

    @admin.display(description=_("endpoint"))
    def endpoint_shown(self, row: CallbackEvent) -> SafeString:
        return self._link("callbackendpoint", row.endpoint_id)

    @admin.display(description=_("push request"))
    def request_shown(self, row: CallbackEvent) -> SafeString | str:
        return self._link("pushrequest", row.request_id) if row.request_id else EMPTY

    @admin.display(description=_("data"))
    def data_shown(self, row: CallbackEvent) -> SafeString | str:
        return json_block(row.data)

    def _link(self, model_name: str, key: object) -> SafeString:
        return format_html('<a href="{}">{}</a>', self.page_url(key, model_name), key)

    def page_context(self, request: HttpRequest, row: CallbackEvent) -> dict[str, Any]:
        latest = row.journal.order_by("-id")[:SHOWN]
        attempts = [(attempt, moment(attempt.started_at, fine=True)) for attempt in latest]
        return super().page_context(request, row) | {"attempts": attempts}

    def buttons_for(self, row: CallbackEvent) -> Collection[Button]:
        return () if row.status == CallbackStatus.PENDING else (REPLAY,)

    def press(self, request: HttpRequest, key: str, name: str) -> None:
        self._replay(request, [self.row_or_404(request, key)])

    @admin.action(description=_("Replay selected callbacks"), permissions=["operate"])
    def replay_selected(self, request: HttpRequest, queryset: QuerySet[CallbackEvent]) -> None:
        self._replay(request, queryset.select_related("endpoint"))

    def _replay(self, request: HttpRequest, events: Iterable[CallbackEvent]) -> None:
        replayed = self.perform_each(request, events, replays.replay, _("Replayed."))
        self.message_user(request, replayed_message(replayed), messages.SUCCESS)


def replayed_message(count: int) -> str:
    return ngettext(
        "%(count)d callback will be sent again.", "%(count)d callbacks will be sent again.", count
    ) % {"count": count}


def replayed_entry(count: int) -> str:
    """Return what the history of an endpoint says."""
    return ngettext(
        "Replayed %(count)d failed callback.", "Replayed %(count)d failed callbacks.", count
    ) % {"count": count}
