"""Push requests: to look at, to retry, to cancel, and never to edit."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.utils import flatten_fieldsets
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from ..models import Delivery, PushRequest
from .badges import request_badge
from .change_list import BoundedPaginator, PushRequestChangeList
from .deliveries import PAGE_PARAMETER, delivery_page
from .filters import BackendFilter, ClientFilter, CreatedFilter
from .operations import CANCEL, LIMIT, RETRY, Operation, operate, operations_for
from .searches import search_condition
from .timeline import timeline
from .times import duration, moment

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[PushRequest]
else:
    _ModelAdmin = admin.ModelAdmin

_RECIPIENTS: Final = "recipients_shown"

#: What the page of one request shows: title, CSS class, rows of fields and methods.
_FIELDSETS: Final = (
    (
        None,
        "",
        (("id", "reference"), ("client", "backend"), ("priority", "collapse_key"), ("on_unknown",)),
    ),
    (_("Message"), "", ("title", "body", ("data_shown", "options_shown"))),
    (
        _("Outcome"),
        "",
        (("error_code", "attempts_shown"), "error", "counts_shown", "result_shown"),
    ),
    (_("Recipients"), "collapse", (_RECIPIENTS,)),
    (_("Traces"), "collapse", (("request_id", "traceparent"), ("owner", "updated_at"))),
)


class PushRequestAdmin(_ModelAdmin):
    """Whoever may change push requests may retry and cancel them, and no more than that."""

    list_display = (
        "short_id",
        "status_shown",
        "created",
        "took",
        "accepted_shown",
        "reference",
        "client",
        "backend",
        "priority",
    )
    list_filter = ("status", BackendFilter, "priority", ClientFilter, CreatedFilter)
    list_select_related = ("client",)
    date_hierarchy = "created_at"
    search_fields = ("id", "reference")
    search_help_text = _("An id or its first 8 digits or more, or a whole reference.")
    # The key is the only order that an index gives under every filter.
    sortable_by = ("created",)
    paginator = BoundedPaginator
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    actions = ("retry_selected", "cancel_selected")
    fieldsets = tuple(
        (title, {"fields": rows, "classes": (classes,)}) for title, classes, rows in _FIELDSETS
    )
    readonly_fields = tuple(flatten_fieldsets(fieldsets))

    class Media:
        css: ClassVar = {"all": ("django_pushjobs/admin.css",)}

    # Who may do what.

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: PushRequest | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: PushRequest | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: PushRequest | None = None) -> bool:
        # Django's own asks has_change_permission, which says no to everybody here.
        return super().has_view_permission(request, obj) or self.has_operate_permission(request)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Whether the user may retry and cancel: whoever may change push requests."""
        return super().has_change_permission(request)

    def may_see_addresses(self, request: HttpRequest) -> bool:
        """Addresses may say who somebody is: they need the permission to view deliveries."""
        opts = Delivery._meta
        return any(
            request.user.has_perm(f"{opts.app_label}.{action}_{opts.model_name}")
            for action in ("view", "change")
        )

    # The list.

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[PushRequestChangeList]:
        return PushRequestChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[PushRequest], search_term: str
    ) -> tuple[QuerySet[PushRequest], bool]:
        if term := search_term.strip():
            queryset = queryset.filter(search_condition(term))
        return queryset, False

    @admin.display(description=_("id"))
    def short_id(self, row: PushRequest) -> SafeString:
        """The part that is time, and the end of what is chance; all of it is a pointer away."""
        text = str(row.pk)
        shown = f"{text[:13]}…{text[-4:]}"
        return format_html('<span class="pushjobs-id" title="{}">{}</span>', text, shown)

    @admin.display(description=_("status"))
    def status_shown(self, row: PushRequest) -> SafeString:
        if not row.error_code:
            return request_badge(row)
        code = format_html('<code class="pushjobs-why">{}</code>', row.error_code)
        return format_html("{} {}", request_badge(row), code)

    @admin.display(description=_("accepted"))
    def accepted_shown(self, row: PushRequest) -> str:
        return gettext("%(part)d of %(whole)d") % {"part": row.accepted, "whole": row.total}

    @admin.display(description=_("created"), ordering="id")
    def created(self, row: PushRequest) -> SafeString | None:
        return moment(row.created_at)

    @admin.display(description=_("took"))
    def took(self, row: PushRequest) -> str | None:
        """From when it was asked for to its end."""
        return duration(row.finished_at - row.created_at) if row.finished_at else None

    # One push request.

    @admin.display(description=_("data"))
    def data_shown(self, row: PushRequest) -> SafeString | str:
        return _json(row.data)

    @admin.display(description=_("options"))
    def options_shown(self, row: PushRequest) -> SafeString | str:
        return _json(row.options)

    @admin.display(description=_("result"))
    def result_shown(self, row: PushRequest) -> SafeString | str:
        return _json(row.result)

    @admin.display(description=_("recipients"))
    def recipients_shown(self, row: PushRequest) -> SafeString | str:
        return _json(row.recipients)

    @admin.display(description=_("attempts"))
    def attempts_shown(self, row: PushRequest) -> str:
        parts = {"part": row.attempts, "whole": row.attempt_limit}
        return gettext("%(part)d of %(whole)d") % parts

    @admin.display(description=_("addresses"))
    def counts_shown(self, row: PushRequest) -> str:
        return (
            gettext(
                "%(total)d in all: %(accepted)d accepted, %(failed)d failed, %(dropped)d dropped, "
                "%(unknown)d unknown"
            )
            % row.counts
        )

    def get_queryset(self, request: HttpRequest) -> QuerySet[PushRequest]:
        # The parts of a large request are told by the request itself.
        return super().get_queryset(request).filter(parent=None).select_related("client")

    def get_fieldsets(self, request: HttpRequest, obj: PushRequest | None = None) -> Any:
        shown = super().get_fieldsets(request, obj)
        if self.may_see_addresses(request):
            return shown
        return [fieldset for fieldset in shown if _RECIPIENTS not in fieldset[1]["fields"]]

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: PushRequest | None = None,
    ) -> HttpResponse:
        if obj is not None:
            context["badge"] = request_badge(obj)
            context["timeline"] = timeline(obj, timezone.now())
            if self.has_operate_permission(request):
                context["operations"] = [operation.name for operation in operations_for(obj)]
            if self.may_see_addresses(request):
                page = request.GET.get(PAGE_PARAMETER, "1")
                context["deliveries"] = delivery_page(obj, page)
        return super().render_change_form(request, context, add, change, form_url, obj)

    # Retry and cancel.

    @admin.action(description=_("Retry the selected push requests"), permissions=["operate"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[PushRequest]) -> None:
        self._operate(request, RETRY, _ids(queryset))

    @admin.action(description=_("Cancel the selected push requests"), permissions=["operate"])
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[PushRequest]) -> None:
        self._operate(request, CANCEL, _ids(queryset))

    def get_urls(self) -> list[URLPattern]:
        opts = self.opts
        own = [
            path(
                f"<path:object_id>/{operation.name}/",
                self.admin_site.admin_view(
                    require_POST(partial(self.operation_view, operation=operation))
                ),
                name=f"{opts.app_label}_{opts.model_name}_{operation.name}",
            )
            for operation in (RETRY, CANCEL)
        ]
        return [*own, *super().get_urls()]

    def operation_view(
        self, request: HttpRequest, object_id: str, operation: Operation
    ) -> HttpResponse:
        """Do what a button on the page of one request asks for, and show that page again."""
        if not self.has_operate_permission(request):
            raise PermissionDenied
        try:
            request_id = UUID(object_id)
        except ValueError as error:
            raise Http404 from error
        self._operate(request, operation, [request_id])
        opts = self.opts
        page = f"{self.admin_site.name}:{opts.app_label}_{opts.model_name}_change"
        return HttpResponseRedirect(reverse(page, args=[request_id]))

    def _operate(
        self, request: HttpRequest, operation: Operation, request_ids: Iterable[UUID]
    ) -> None:
        report = operate(operation, request_ids)
        for row in report.changed:
            self.log_change(request, row, str(operation.log_entry))
        for sentence in report.successes():
            self.message_user(request, sentence, messages.SUCCESS)
        for sentence in report.warnings():
            self.message_user(request, sentence, messages.WARNING)


def _ids(queryset: QuerySet[PushRequest]) -> list[UUID]:
    # Read to the end before the first of them changes; one too many tells that there are more.
    return list(queryset.values_list("pk", flat=True)[: LIMIT + 1])


def _json(value: Any) -> SafeString | str:
    if value in (None, {}, []):
        return "-"
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return format_html('<pre class="pushjobs-code">{}</pre>', text)
