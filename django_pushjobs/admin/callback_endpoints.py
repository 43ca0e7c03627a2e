"""Callback endpoints: register, look, pause, resume, rotate, test, replay.

A secret is shown once, in the answer that makes it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import urlsplit

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST

from ..callbacks import endpoints, replays
from ..exceptions import InvalidCallbackEndpoint
from ..models import ApiClient, CallbackEndpoint, EndpointState, EventType
from .badges import endpoint_badge
from .times import moment

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[CallbackEndpoint]
else:
    _ModelAdmin = admin.ModelAdmin

_TEMPLATES: Final = "admin/django_pushjobs/callbackendpoint"


class RegisterForm(forms.Form):
    """Its cleaned data are the arguments of ``endpoints.register``."""

    required_css_class = "required"

    client = forms.ModelChoiceField(label=_("Client"), queryset=ApiClient.objects.all())
    url = forms.CharField(
        label=_("URL"),
        widget=forms.TextInput(attrs={"class": "vLargeTextField", "spellcheck": "false"}),
        help_text=_("https, on the public internet."),
    )
    event_types = forms.MultipleChoiceField(
        label=_("Event types"),
        required=False,
        choices=[(t.value, t.label) for t in EventType if t.value in endpoints.CHOICES],
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None means all of them."),
    )


class CallbackEndpointAdmin(_ModelAdmin):
    """Whoever may change endpoints may operate them; whoever may add them may register one."""

    list_display = (
        "short_id",
        "client",
        "host",
        "state_shown",
        "failing_since_shown",
        "last_attempt_shown",
        "created",
    )
    list_filter = ("state", ("client", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("client",)
    show_full_result_count = False
    actions = ("resume_selected", "pause_selected", "test_selected", "replay_selected")
    fields = (
        ("client", "state_shown"),
        "url",
        "types_shown",
        ("failing_since_shown", "last_attempt_shown"),
        ("resting_until_shown", "disabled_at_shown"),
        ("previous_secret_shown", "created"),
    )
    readonly_fields = (*fields[1:3], *(name for row in (fields[0], *fields[3:]) for name in row))

    class Media:
        css: ClassVar = {"all": ("django_pushjobs/admin.css",)}

    def has_change_permission(
        self, request: HttpRequest, obj: CallbackEndpoint | None = None
    ) -> bool:
        return False

    def has_view_permission(
        self, request: HttpRequest, obj: CallbackEndpoint | None = None
    ) -> bool:
        return super().has_view_permission(request, obj) or self.has_operate_permission(request)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Whether the user may pause, resume, rotate, test and replay: whoever may change them."""
        return super().has_change_permission(request)

    def delete_model(self, request: HttpRequest, obj: CallbackEndpoint) -> None:
        endpoints.delete(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[CallbackEndpoint]) -> None:
        for endpoint in queryset:
            endpoints.delete(endpoint)

    # What is shown.

    @admin.display(description=_("id"), ordering="id")
    def short_id(self, row: CallbackEndpoint) -> str:
        text = str(row.pk)
        return f"{text[:13]}…{text[-4:]}"

    @admin.display(description=_("host"))
    def host(self, row: CallbackEndpoint) -> str:
        return urlsplit(row.url).hostname or ""

    @admin.display(description=_("state"), ordering="state")
    def state_shown(self, row: CallbackEndpoint) -> SafeString:
        return endpoint_badge(row)

    @admin.display(description=_("event types"))
    def types_shown(self, row: CallbackEndpoint) -> str:
        return ", ".join(row.event_types) or gettext("all")

    @admin.display(description=_("failing since"))
    def failing_since_shown(self, row: CallbackEndpoint) -> SafeString | None:
        return moment(row.failing_since)

    @admin.display(description=_("last attempt"))
    def last_attempt_shown(self, row: CallbackEndpoint) -> SafeString | None:
        return moment(row.last_attempt_at)

    @admin.display(description=_("resting until"))
    def resting_until_shown(self, row: CallbackEndpoint) -> SafeString | None:
        return moment(row.resting_until)

    @admin.display(description=_("disabled"))
    def disabled_at_shown(self, row: CallbackEndpoint) -> SafeString | None:
        return moment(row.disabled_at)

    @admin.display(description=_("previous secret expires"))
    def previous_secret_shown(self, row: CallbackEndpoint) -> SafeString | None:
        return moment(row.previous_secret_expires_at)

    @admin.display(description=_("created"), ordering="id")
    def created(self, row: CallbackEndpoint) -> SafeString | None:
        return moment(row.created_at)

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: CallbackEndpoint | None = None,
    ) -> HttpResponse:
        if obj is not None and self.has_operate_permission(request):
            is_active = obj.state == EndpointState.ACTIVE
            context["operations"] = ["pause", "test"] if is_active else ["resume"]
            context["may_rotate"] = True
        return super().render_change_form(request, context, add, change, form_url, obj)

    # What an operator may do.

    @method_decorator(never_cache)
    @method_decorator(sensitive_variables("secret", "context"))
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Ask for a URL; then show the secret of the new endpoint, in this one answer only."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = RegisterForm(request.POST or None)
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
        context = self._context(request, gettext("Register an endpoint"))
        context |= {"form": form, "media": self.media + form.media}
        return TemplateResponse(request, f"{_TEMPLATES}/register.html", context)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        views: dict[str, Callable[..., HttpResponse]] = {"rotate": self.rotate_view}
        for operation in ("pause", "resume", "test"):
            views[operation] = partial(self.operation_view, operation=operation)
        own = [
            path(
                f"<uuid:endpoint_id>/{operation}/",
                wrap(require_POST(view)),
                name=f"{name}_{operation}",
            )
            for operation, view in views.items()
        ]
        return [*own, *super().get_urls()]

    @method_decorator(never_cache)
    @method_decorator(sensitive_variables("secret"))
    def rotate_view(self, request: HttpRequest, endpoint_id: Any) -> HttpResponse:
        """Give an endpoint a new secret, and show it in this one answer only."""
        endpoint = self._operated(request, endpoint_id)
        secret = endpoints.rotate(endpoint)
        self.log_change(request, endpoint, gettext("Gave it a new secret."))
        return self._secret_page(request, endpoint, secret)

    def operation_view(
        self, request: HttpRequest, endpoint_id: Any, operation: str
    ) -> HttpResponse:
        """Do what a button on the page of one endpoint asks for, and show that page again."""
        endpoint = self._operated(request, endpoint_id)
        perform, sentence = _OPERATIONS[operation]
        perform(endpoint)
        self.log_change(request, endpoint, str(sentence))
        self.message_user(request, str(sentence), messages.SUCCESS)
        page = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_change"
        return HttpResponseRedirect(reverse(page, args=[endpoint.pk]))

    @admin.action(description=_("Resume the selected endpoints"), permissions=["operate"])
    def resume_selected(self, request: HttpRequest, queryset: QuerySet[CallbackEndpoint]) -> None:
        self._perform(request, queryset.exclude(state=EndpointState.ACTIVE), "resume")

    @admin.action(description=_("Pause the selected endpoints"), permissions=["operate"])
    def pause_selected(self, request: HttpRequest, queryset: QuerySet[CallbackEndpoint]) -> None:
        self._perform(request, queryset.filter(state=EndpointState.ACTIVE), "pause")

    @admin.action(description=_("Send a test to the selected endpoints"), permissions=["operate"])
    def test_selected(self, request: HttpRequest, queryset: QuerySet[CallbackEndpoint]) -> None:
        self._perform(request, queryset.exclude(state=EndpointState.DISABLED), "test")

    @admin.action(
        description=_("Replay what failed at the selected endpoints"), permissions=["operate"]
    )
    def replay_selected(self, request: HttpRequest, queryset: QuerySet[CallbackEndpoint]) -> None:
        since = timezone.now() - timedelta(days=365)
        replayed = replays.replay_since(since, endpoints=queryset, failed_only=True)
        tell_replayed(self, request, replayed)

    def _perform(
        self, request: HttpRequest, queryset: QuerySet[CallbackEndpoint], operation: str
    ) -> None:
        perform, sentence = _OPERATIONS[operation]
        changed = list(queryset)
        for endpoint in changed:
            perform(endpoint)
            self.log_change(request, endpoint, str(sentence))
        done = ngettext("%(count)d endpoint: done.", "%(count)d endpoints: done.", len(changed))
        self.message_user(request, done % {"count": len(changed)}, messages.SUCCESS)

    def _operated(self, request: HttpRequest, endpoint_id: Any) -> CallbackEndpoint:
        if not self.has_operate_permission(request):
            raise PermissionDenied
        endpoint = self.get_object(request, str(endpoint_id))
        if endpoint is None:
            raise Http404
        return endpoint

    def _secret_page(
        self, request: HttpRequest, endpoint: CallbackEndpoint, secret: str
    ) -> HttpResponse:
        context = self._context(request, gettext("The new secret"))
        context |= {"original": endpoint, "subtitle": str(endpoint), "secret": secret}
        return TemplateResponse(request, f"{_TEMPLATES}/secret.html", context)

    def _context(self, request: HttpRequest, title: str) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "media": self.media,
            "has_view_permission": True,
            "title": title,
        }


_OPERATIONS: Final[dict[str, tuple[Callable[[CallbackEndpoint], object], Any]]] = {
    "pause": (endpoints.pause, _("Paused.")),
    "resume": (endpoints.resume, _("Resumed.")),
    "test": (endpoints.send_test, _("A test is on its way.")),
}


def tell_replayed(model_admin: Any, request: HttpRequest, replayed: int) -> None:
    """Say how many callbacks are sent again."""
    sentence = ngettext(
        "%(count)d callback is sent again.", "%(count)d callbacks are sent again.", replayed
    )
    model_admin.message_user(request, sentence % {"count": replayed}, messages.SUCCESS)
