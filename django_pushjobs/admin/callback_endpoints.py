"""Callback endpoints: to look at, register, pause, resume, rotate, test, replay and delete.

A secret is shown once, in the response that creates it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables

from ..callbacks import endpoints, replays
from ..exceptions import InvalidCallbackEndpoint
from ..models import CallbackEndpoint, EndpointState
from .badges import endpoint_badge
from .base import Button, OperatedAdmin
from .callback_events import replayed_entry, replayed_message
from .endpoint_operations import (
    OPERATIONS,
    PAUSE,
    RESUME,
    ROTATE,
    TEST,
    EndpointOperation,
    buttons_for,
)
from .formatting import moment_column, short_id
from .forms import RegisterEndpointForm


class CallbackEndpointAdmin(OperatedAdmin[CallbackEndpoint]):
    """Operating on an endpoint includes giving it a new secret."""

    may_be_added = True
    may_be_deleted = True
    list_display = (
        *("short_id", "client", "host", "state_shown", "failing_since_shown"),
        *("last_attempt_shown", "created"),
    )
    list_filter = ("state", ("client", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("client",)
    actions = ("resume_selected", "pause_selected", "test_selected", "replay_selected")
    fields = (
        ("client", "state_shown"),
        "url",
        "types_shown",
        ("failing_since_shown", "last_attempt_shown"),
        ("resting_until_shown", "disabled_at_shown"),
        ("verified_at_shown", "previous_secret_shown", "created"),
    )
    readonly_fields = (*fields[1:3], *(name for row in (fields[0], *fields[3:]) for name in row))
    buttons = (*OPERATIONS.values(), ROTATE)

    # What is shown.

    failing_since_shown = moment_column("failing_since", _("failing since"))
    last_attempt_shown = moment_column("last_attempt_at", _("last attempt"))
    resting_until_shown = moment_column("resting_until", _("resting until"))
    disabled_at_shown = moment_column("disabled_at", _("disabled"))
    verified_at_shown = moment_column("verified_at", _("verified"))
    previous_secret_shown = moment_column(
        "previous_secret_expires_at", _("previous secret expires")
    )
    created = moment_column("created_at", _("created"), ordering="id")

    @admin.display(description=_("ID"), ordering="id")
    def short_id(self, row: CallbackEndpoint) -> SafeString:
        return short_id(row.pk)

    @admin.display(description=_("host"))
    def host(self, row: CallbackEndpoint) -> str:
        return urlsplit(row.url).hostname or ""

    @admin.display(description=_("state"), ordering="state")
    def state_shown(self, row: CallbackEndpoint) -> SafeString:
        return endpoint_badge(row)

    @admin.display(description=_("event types"))
    def types_shown(self, row: CallbackEndpoint) -> str:
        return ", ".join(row.event_types) or gettext("all")

    # Register and rotate.

    @method_decorator(never_cache)
    @sensitive_variables("secret")
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Ask for a URL; then show the secret of the new endpoint, in this one response only."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = RegisterEndpointForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                endpoint, secret = endpoints.register(**form.cleaned_data)
            except InvalidCallbackEndpoint as invalid:
                for error in invalid.errors:
                    name = error.pointer.split("/")[1] if error.pointer else None
                    form.add_error(name, error.detail)
            else:
                self.log_addition(request, endpoint, [{"added": {}}])
                return self._secret_page(request, endpoint, secret)
        title, submit = gettext("Register an endpoint"), gettext("Register the endpoint")
        return self.render_page(request, "form.html", title, form=form, submit_label=submit)

    @sensitive_variables("secret")
    def _rotate(self, request: HttpRequest, endpoint: CallbackEndpoint) -> HttpResponse:
        """Give an endpoint a new secret, and show it in this one response only."""
        secret = endpoints.rotate(endpoint)
        self.log_change(request, endpoint, gettext("Issued a new secret."))
        return self._secret_page(request, endpoint, secret)

    @sensitive_variables()
    def _secret_page(
        self, request: HttpRequest, endpoint: CallbackEndpoint, secret: str
    ) -> HttpResponse:
        title = gettext("The new secret")
        page = self.render_page(request, "secret.html", title, row=endpoint, secret=secret)
        # Here, where an error report leaves the variables out.
        return page.render()

    # What else an operator may do.

    def buttons_for(self, row: CallbackEndpoint) -> Collection[Button]:
        return buttons_for(row)

    def press(self, request: HttpRequest, key: str, name: str) -> HttpResponse | None:
        endpoint = self.row_or_404(request, key)
        if name == ROTATE.name:
            return self._rotate(request, endpoint)
        self._operate(request, OPERATIONS[name], [endpoint])
        return None

    @admin.action(description=_("Resume selected endpoints"), permissions=["operate"])
    def resume_selected(self, request: HttpRequest, queryset: QuerySet[CallbackEndpoint]) -> None:
        stopped = (EndpointState.PAUSED, EndpointState.DISABLED)
        self._operate(request, RESUME, queryset.filter(state__in=stopped))

    @admin.action(description=_("Pause selected endpoints"), permissions=["operate"])
    def pause_selected(self, request: HttpRequest, queryset: QuerySet[CallbackEndpoint]) -> None:
        self._operate(request, PAUSE, queryset.filter(state=EndpointState.ACTIVE))

    @admin.action(description=_("Send a test to selected endpoints"), permissions=["operate"])
    def test_selected(self, request: HttpRequest, queryset: QuerySet[CallbackEndpoint]) -> None:
        self._operate(request, TEST, queryset.exclude(state=EndpointState.DISABLED))

    @admin.action(
        description=_("Replay failed callbacks of selected endpoints"), permissions=["operate"]
    )
    def replay_selected(self, request: HttpRequest, queryset: QuerySet[CallbackEndpoint]) -> None:
        since = timezone.now() - timedelta(days=365)
        total = 0
        for endpoint in queryset:
            count = replays.replay_since(since, endpoints=[endpoint], failed_only=True)
            if count:
                self.log_change(request, endpoint, replayed_entry(count))
            total += count
        self.message_user(request, replayed_message(total), messages.SUCCESS)

    def _operate(
        self, request: HttpRequest, operation: EndpointOperation, rows: Collection[CallbackEndpoint]
    ) -> None:
        changed = list(rows)
        for endpoint in changed:
            operation.perform(endpoint)
            self.log_change(request, endpoint, str(operation.log_entry))
        done = str(operation.done % {"count": len(changed)})
        self.message_user(request, done, messages.SUCCESS)

    def delete_model(self, request: HttpRequest, obj: CallbackEndpoint) -> None:
        endpoints.delete(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[CallbackEndpoint]) -> None:
        for endpoint in queryset:
            endpoints.delete(endpoint)
