"""Clients and their keys. The secret of a key is shown once, in the response that creates it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables

from ..models import ApiClient, ApiKey
from .base import PushJobsAdmin
from .formatting import moment, moment_column
from .forms import IssueKeyForm, RotateKeyForm
from .keys import KeyLine


class ApiClientAdmin(PushJobsAdmin[ApiClient]):
    """A client is switched off rather than deleted: its push requests keep its name."""

    list_display = ("name", "is_active", "valid_keys", "created")
    list_filter = ("is_active",)
    search_fields = ("name",)
    fieldsets = (
        (None, {"fields": ("name", "is_active", "may_set_callback_url", "created")}),
        (
            gettext_lazy("Limits"),
            {
                "fields": ("rate_limit", "daily_quota", "max_unfinished"),
                "description": gettext_lazy("How much the client may request."),
            },
        ),
    )
    readonly_fields = ("created",)

    created = moment_column("created_at", gettext_lazy("created"), ordering="created_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiClient]:
        valid = Q(keys__revoked_at=None) & (
            Q(keys__expires_at=None) | Q(keys__expires_at__gt=timezone.now())
        )
        clients = super().get_queryset(request)
        return clients.annotate(valid_key_count=Count("keys", filter=valid))

    def has_delete_permission(self, request: HttpRequest, obj: ApiClient | None = None) -> bool:
        # Django would also load every push request of the client to say why it cannot.
        return False

    def has_key_permission(self, request: HttpRequest, action: str) -> bool:
        """Whether the user may ``view``, ``add`` (issue) or ``change`` (revoke) keys."""
        return request.user.has_perm(f"{self.opts.app_label}.{action}_{ApiKey._meta.model_name}")

    @admin.display(description=gettext_lazy("valid keys"), ordering="valid_key_count")
    def valid_keys(self, client: ApiClient) -> int:
        return getattr(client, "valid_key_count", 0) if client.is_active else 0

    # One client, with its keys.

    def page_context(self, request: HttpRequest, row: ApiClient) -> dict[str, Any]:
        may_revoke = self.has_key_permission(request, "change")
        context: dict[str, Any] = {
            "may_issue": self.has_key_permission(request, "add"),
            "may_revoke": may_revoke,
        }
        if may_revoke or self.has_key_permission(request, "view"):
            context["keys"] = [KeyLine(key) for key in _keys(row)]
        return context

    def get_urls(self) -> list[URLPattern]:
        keys = "<int:client_id>/keys"
        own = [
            self.url_pattern(f"{keys}/add/", self.issue_view, "issue_key"),
            self.url_pattern(f"{keys}/<int:key_id>/rotate/", self.rotate_view, "rotate_key"),
            self.url_pattern(f"{keys}/<int:key_id>/revoke/", self.revoke_view, "revoke_key"),
        ]
        return [*own, *super().get_urls()]

    @method_decorator(never_cache)
    @sensitive_variables("secret")
    def issue_view(self, request: HttpRequest, client_id: int) -> HttpResponse:
        """Ask for the name of a new key; then show its secret, in this one response only.

        There is no redirect and no message, because either would have to store the secret.
        """
        client = self._client(request, client_id, "add")
        form = IssueKeyForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            key, secret = ApiKey.objects.issue(client, **form.cleaned_data)
            self.log_change(request, client, _("Issued the key %(key)s.") % {"key": key})
            return self._secret_page(request, client, key, secret)
        return self.render_page(
            request,
            "form.html",
            _("Issue a key"),
            row=client,
            form=form,
            submit_label=_("Issue the key"),
        )

    @method_decorator(never_cache)
    @sensitive_variables("secret")
    def rotate_view(self, request: HttpRequest, client_id: int, key_id: int) -> HttpResponse:
        """Ask how long a key stays valid beside its successor; then show the successor's secret."""
        client = self._client(request, client_id, "add")
        if not self.has_key_permission(request, "change"):
            raise PermissionDenied
        key = get_object_or_404(_keys(client), pk=key_id, revoked_at=None)
        form = RotateKeyForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            successor, secret = ApiKey.objects.rotate(key, form.overlap)
            done = _("Issued the key %(successor)s in place of %(key)s.")
            self.log_change(request, client, done % {"successor": successor, "key": key})
            return self._secret_page(request, client, successor, secret, predecessor=key)
        return self.render_page(
            request,
            "apiclient/rotate_key.html",
            _("Rotate a key"),
            row=client,
            form=form,
            key=key,
            submit_label=_("Issue the successor"),
        )

    def revoke_view(self, request: HttpRequest, client_id: int, key_id: int) -> HttpResponse:
        """Ask whether to revoke a key, and do it."""
        client = self._client(request, client_id, "change")
        key = get_object_or_404(_keys(client), pk=key_id)
        if request.method == "POST":
            key.revoke()
            self.log_change(request, client, _("Revoked the key %(key)s.") % {"key": key})
            done = _("The key %(key)s has been revoked.") % {"key": key}
            self.message_user(request, done, messages.SUCCESS)
            return HttpResponseRedirect(self.page_url(client.pk))
        title = _("Revoke a key")
        return self.render_page(request, "apiclient/revoke_key.html", title, row=client, key=key)

    def _client(self, request: HttpRequest, client_id: int, action: str) -> ApiClient:
        client = self.get_object(request, str(client_id))
        if client is None:
            raise Http404
        if not self.has_view_or_change_permission(request, client):
            raise PermissionDenied
        if not self.has_key_permission(request, action):
            raise PermissionDenied
        return client

    @sensitive_variables()
    def _secret_page(
        self,
        request: HttpRequest,
        client: ApiClient,
        key: ApiKey,
        secret: str,
        predecessor: ApiKey | None = None,
    ) -> HttpResponse:
        context: dict[str, Any] = {"key": key, "secret": secret}
        if predecessor is not None:
            context |= {"predecessor": predecessor, "ends": moment(predecessor.expires_at)}
        title = _("The new key")
        page = self.render_page(request, "apiclient/key_issued.html", title, row=client, **context)
        # Here, where an error report leaves the variables out.
        return page.render()


def _keys(client: ApiClient) -> QuerySet[ApiKey]:
    """Return the keys of a client, with its test keys."""
    return ApiKey.objects.filter(Q(client=client) | Q(client__live=client)).select_related("client")
