"""Push requests: to look at, to retry and to cancel, but never to edit."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial
from typing import Any, Final
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.utils import flatten_fieldsets
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..devices.proofs import CHALLENGE
from ..models import Delivery, PushRequest
from .badges import request_badge, with_reason
from .base import Button, OperatedAdmin
from .change_list import BoundedPaginator, PushRequestChangeList
from .deliveries import PAGE_PARAMETER, delivery_page
from .filters import BackendFilter, ClientFilter, CreatedFilter
from .formatting import duration, json_block, moment_column, short_id
from .masking import masked, masked_recipient
from .request_operations import (
    CANCEL,
    LIMIT,
    OPERATIONS,
    RETRY,
    RequestOperation,
    operate,
    operations_for,
)
from .search import search_condition
from .timeline import timeline

_RECIPIENTS: Final = "recipients_shown"
_MASKED: Final = "recipients_masked"

#: The sections of the page of one request: title, CSS class, rows of fields and methods.
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
    (_("Tracing"), "collapse", (("request_id", "traceparent"), ("owner", "updated_at"))),
)


class PushRequestAdmin(OperatedAdmin[PushRequest]):
    """Operating on a push request is retrying or canceling it."""

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
    search_help_text = _("An ID, the first 8 digits of one or more, or an exact reference.")
    # The primary key is the only order that an index provides under every filter.
    sortable_by = ("created",)
    paginator = BoundedPaginator
    list_max_show_all = 0
    show_facets = admin.ShowFacets.NEVER
    actions = ("retry_selected", "cancel_selected")
    fieldsets = tuple(
        (title, {"fields": rows, "classes": (classes,)}) for title, classes, rows in _FIELDSETS
    )
    readonly_fields = (*flatten_fieldsets(fieldsets), _MASKED)
    buttons = tuple(OPERATIONS.values())

    def may_see_deliveries(self, request: HttpRequest) -> bool:
        """Recipients and deliveries require the permission to view deliveries."""
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

    @admin.display(description=_("ID"))
    def short_id(self, row: PushRequest) -> SafeString:
        return short_id(row.pk)

    @admin.display(description=_("status"))
    def status_shown(self, row: PushRequest) -> SafeString:
        return with_reason(request_badge(row), row.error_code)

    @admin.display(description=_("accepted"))
    def accepted_shown(self, row: PushRequest) -> str:
        return gettext("%(part)d of %(whole)d") % {"part": row.accepted, "whole": row.total}

    created = moment_column("created_at", _("created"), ordering="id")

    @admin.display(description=_("duration"))
    def took(self, row: PushRequest) -> str | None:
        """The time from its submission to its end."""
        return duration(row.finished_at - row.created_at) if row.finished_at else None

    # One push request.

    @admin.display(description=_("data"))
    def data_shown(self, row: PushRequest) -> SafeString | str:
        if CHALLENGE in row.data:
            # With it, an operator who is also a user could take over the device.
            return json_block({**row.data, CHALLENGE: "…"})
        return json_block(row.data)

    @admin.display(description=_("options"))
    def options_shown(self, row: PushRequest) -> SafeString | str:
        return json_block(row.options)

    @admin.display(description=_("result"))
    def result_shown(self, row: PushRequest) -> SafeString | str:
        return json_block(row.result)

    @admin.display(description=_("recipients"))
    def recipients_shown(self, row: PushRequest) -> SafeString | str:
        return json_block(row.recipients)

    @admin.display(description=_("recipients"))
    def recipients_masked(self, row: PushRequest) -> SafeString | str:
        return json_block([masked_recipient(r, row.backend) for r in row.recipients])

    @admin.display(description=_("attempts"))
    def attempts_shown(self, row: PushRequest) -> str:
        if row.attempt_limit is None:
            return str(row.counted_attempts)
        parts = {"part": row.counted_attempts, "whole": row.attempt_limit}
        return gettext("%(part)d of %(whole)d") % parts

    @admin.display(description=_("addresses"))
    def counts_shown(self, row: PushRequest) -> str:
        return (
            gettext(
                "%(total)d in total: %(accepted)d accepted, %(failed)d failed, "
                "%(dropped)d dropped, %(unknown)d unknown"
            )
            % row.counts
        )

    def get_queryset(self, request: HttpRequest) -> QuerySet[PushRequest]:
        # The parts of a large request are not shown: the request itself says everything.
        return super().get_queryset(request).filter(parent=None).select_related("client")

    def get_fieldsets(self, request: HttpRequest, obj: PushRequest | None = None) -> Any:
        shown = super().get_fieldsets(request, obj)
        others = [fieldset for fieldset in shown if _RECIPIENTS not in fieldset[1]["fields"]]
        if not self.may_see_deliveries(request):
            return others
        if self.may_see_addresses(request):
            return shown
        return [
            fieldset if fieldset in others else (fieldset[0], {**fieldset[1], "fields": (_MASKED,)})
            for fieldset in shown
        ]

    def page_context(self, request: HttpRequest, row: PushRequest) -> dict[str, Any]:
        context = super().page_context(request, row)
        context |= {"badge": request_badge(row), "timeline": timeline(row, timezone.now())}
        if self.may_see_deliveries(request):
            shown = str if self.may_see_addresses(request) else partial(masked, backend=row.backend)
            number = request.GET.get(PAGE_PARAMETER, "1")
            context["deliveries"] = delivery_page(row, number, shown)
        return context

    # Retry and cancel.

    @admin.action(description=_("Retry selected push requests"), permissions=["operate"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[PushRequest]) -> None:
        self._operate(request, RETRY, _ids(queryset))

    @admin.action(description=_("Cancel selected push requests"), permissions=["operate"])
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[PushRequest]) -> None:
        self._operate(request, CANCEL, _ids(queryset))

    def buttons_for(self, row: PushRequest) -> Collection[Button]:
        return operations_for(row)

    def press(self, request: HttpRequest, key: str, name: str) -> None:
        try:
            request_id = UUID(key)
        except ValueError as error:
            raise Http404 from error
        self._operate(request, OPERATIONS[name], [request_id])

    def _operate(
        self, request: HttpRequest, operation: RequestOperation, request_ids: Iterable[UUID]
    ) -> None:
        report = operate(operation, request_ids)
        for row in report.changed:
            self.log_change(request, row, str(operation.log_entry))
        for sentence in report.successes():
            self.message_user(request, sentence, messages.SUCCESS)
        for sentence in report.warnings():
            self.message_user(request, sentence, messages.WARNING)


def _ids(queryset: QuerySet[PushRequest]) -> list[UUID]:
    # All are read before the first one changes. One more than the limit says that there are more.
    return list(queryset.values_list("pk", flat=True)[: LIMIT + 1])
