"""Callbacks with their attempts: to look at, and to send again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from ..callbacks import replays
from ..models import CallbackEvent, CallbackStatus
from .badges import callback_badge
from .callback_endpoints import tell_replayed
from .times import moment

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[CallbackEvent]
else:
    _ModelAdmin = admin.ModelAdmin

#: Attempts that the page of one callback shows, the latest of them.
SHOWN = 50


class CallbackEventAdmin(_ModelAdmin):
    """Whoever may change callbacks may replay them, and no more than that."""

    list_display = (
        "short_id",
        "status_shown",
        "type",
        "client",
        "attempts",
        "created",
        "next_shown",
    )
    list_filter = ("status", "type")
    list_select_related = ("endpoint__client",)
    search_fields = ("id", "request", "endpoint")
    search_help_text = _("A whole id: of a callback, of a push request, or of an endpoint.")
    sortable_by = ("created",)
    list_max_show_all = 0
    show_full_result_count = False
    actions = ("replay_selected",)
    fields = (
        ("id", "type"),
        ("endpoint_shown", "request_shown"),
        ("status_shown", "attempts"),
        ("next_shown", "finished"),
        "url",
        "data_shown",
    )
    readonly_fields = (
        *("id", "type", "endpoint_shown", "request_shown", "status_shown", "attempts"),
        *("next_shown", "finished", "url", "data_shown"),
    )

    class Media:
        css: ClassVar = {"all": ("django_pushjobs/admin.css",)}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: CallbackEvent | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: CallbackEvent | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: CallbackEvent | None = None) -> bool:
        return super().has_view_permission(request, obj) or self.has_operate_permission(request)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Whether the user may replay: whoever may change callbacks."""
        return super().has_change_permission(request)

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

    @admin.display(description=_("id"))
    def short_id(self, row: CallbackEvent) -> SafeString:
        text = str(row.pk)
        shown = f"{text[:13]}…{text[-4:]}"
        return format_html('<span class="pushjobs-id" title="{}">{}</span>', text, shown)

    @admin.display(description=_("status"))
    def status_shown(self, row: CallbackEvent) -> SafeString:
        return callback_badge(row)

    @admin.display(description=_("client"))
    def client(self, row: CallbackEvent) -> str:
        return str(row.endpoint.client)

    @admin.display(description=_("created"), ordering="id")
    def created(self, row: CallbackEvent) -> SafeString | None:
        return moment(row.created_at)

    @admin.display(description=_("next attempt"))
    def next_shown(self, row: CallbackEvent) -> SafeString | None:
        return moment(row.next_attempt_at)

    @admin.display(description=_("finished"))
    def finished(self, row: CallbackEvent) -> SafeString | None:
        return moment(row.finished_at)

    @admin.display(description=_("endpoint"))
    def endpoint_shown(self, row: CallbackEvent) -> SafeString:
        return self._link("callbackendpoint", row.endpoint_id)

    @admin.display(description=_("push request"))
    def request_shown(self, row: CallbackEvent) -> SafeString | None:
        return self._link("pushrequest", row.request_id) if row.request_id else None

    @admin.display(description=_("data"))
    def data_shown(self, row: CallbackEvent) -> SafeString:
        text = json.dumps(row.data, indent=2, ensure_ascii=False)
        return format_html('<pre class="pushjobs-json">{}</pre>', text)

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: CallbackEvent | None = None,
    ) -> HttpResponse:
        if obj is not None:
            attempts = list(obj.journal.order_by("-id")[:SHOWN])
            context["attempts"] = [(row, moment(row.started_at, fine=True)) for row in attempts]
            waits = obj.status == CallbackStatus.PENDING
            context["may_replay"] = self.has_operate_permission(request) and not waits
        return super().render_change_form(request, context, add, change, form_url, obj)

    def get_urls(self) -> list[URLPattern]:
        replay = path(
            "<uuid:event_id>/replay/",
            self.admin_site.admin_view(require_POST(self.replay_view)),
            name=f"{self.opts.app_label}_{self.opts.model_name}_replay",
        )
        return [replay, *super().get_urls()]

    def replay_view(self, request: HttpRequest, event_id: Any) -> HttpResponse:
        if not self.has_operate_permission(request):
            raise PermissionDenied
        event = self.get_object(request, str(event_id))
        if event is None:
            raise Http404
        self._replay(request, [event])
        return HttpResponseRedirect(self._page("callbackevent", event.pk))

    @admin.action(description=_("Replay the selected callbacks"), permissions=["operate"])
    def replay_selected(self, request: HttpRequest, queryset: QuerySet[CallbackEvent]) -> None:
        self._replay(request, list(queryset.select_related("endpoint")))

    def _replay(self, request: HttpRequest, events: list[CallbackEvent]) -> None:
        replayed = [event for event in events if replays.replay(event)]
        for event in replayed:
            self.log_change(request, event, str(_("Replayed.")))
        tell_replayed(self, request, len(replayed))

    def _page(self, model: str, pk: object) -> str:
        return reverse(
            f"{self.admin_site.name}:{self.opts.app_label}_{model}_change", args=[str(pk)]
        )

    def _link(self, model: str, pk: object) -> SafeString:
        return format_html('<a href="{}">{}</a>', self._page(model, pk), pk)
