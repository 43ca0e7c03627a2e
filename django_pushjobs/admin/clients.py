"""Clients and their keys. A key's secret is shown once, in the answer that creates it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables

from ..models import ApiClient, ApiKey
from .keys import IssueKeyForm, KeyLine, RotateKeyForm
from .times import moment

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[ApiClient]
else:
    _ModelAdmin = admin.ModelAdmin

_TEMPLATES: Final = "admin/django_pushjobs/apiclient"


class ApiClientAdmin(_ModelAdmin):
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
                "description": gettext_lazy("How much the client may ask of us."),
            },
        ),
    )
    readonly_fields = ("created",)

    class Media:
        css: ClassVar = {"all": ("django_pushjobs/admin.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiClient]:
        valid = Q(keys__revoked_at=None) & (
            Q(keys__expires_at=None) | Q(keys__expires_at__gt=timezone.now())
        )
        clients = super().get_queryset(request)
        return clients.annotate(valid_key_count=Count("keys", filter=valid))

    def has_delete_permission(self, request: HttpRequest, obj: ApiClient | None = None) -> bool:
        # Besides, Django would load every push request of the client to say why it cannot.
        return False

    def has_key_permission(self, request: HttpRequest, action: str) -> bool:
        """Whether the user may ``view``, ``add`` (issue) or ``change`` (revoke) keys."""
        return request.user.has_perm(f"{self.opts.app_label}.{action}_{ApiKey._meta.model_name}")

    @admin.display(description=gettext_lazy("valid keys"), ordering="valid_key_count")
    def valid_keys(self, client: ApiClient) -> int:
        return getattr(client, "valid_key_count", 0) if client.is_active else 0

    @admin.display(description=gettext_lazy("created"), ordering="created_at")
    def created(self, client: ApiClient) -> SafeString | None:
        return moment(client.created_at)

    # One client, with its keys.

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: ApiClient | None = None,
    ) -> HttpResponse:
        if obj is not None:
            context["may_issue"] = self.has_key_permission(request, "add")
            context["may_revoke"] = self.has_key_permission(request, "change")
            if context["may_revoke"] or self.has_key_permission(request, "view"):
                context["keys"] = [KeyLine(key) for key in obj.keys.all()]
        return super().render_change_form(request, context, add, change, form_url, obj)

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        wrap = self.admin_site.admin_view
        own = [
            path("<int:client_id>/keys/add/", wrap(self.issue_view), name=f"{name}_issue_key"),
            path(
                "<int:client_id>/keys/<int:key_id>/rotate/",
                wrap(self.rotate_view),
                name=f"{name}_rotate_key",
            ),
            path(
                "<int:client_id>/keys/<int:key_id>/revoke/",
                wrap(self.revoke_view),
                name=f"{name}_revoke_key",
            ),
        ]
        return [*own, *super().get_urls()]

    @method_decorator(never_cache)
    @method_decorator(sensitive_variables("secret", "context"))
    def issue_view(self, request: HttpRequest, client_id: int) -> HttpResponse:
        """Ask for the name of a new key; then show its secret, in this one answer only.

        No redirect and no message, as either would have to keep the secret somewhere.
        """
        client = self._client(request, client_id, "add")
        form = IssueKeyForm(request.POST or None)
        context = self._context(request, client, _("Issue a key"))
        if request.method == "POST" and form.is_valid():
            key, secret = ApiKey.objects.issue(client, **form.cleaned_data)
            self.log_change(request, client, _("Issued the key %(key)s.") % {"key": key})
            context |= {"title": _("The new key"), "key": key, "secret": secret}
            return TemplateResponse(request, f"{_TEMPLATES}/key_issued.html", context)
        context |= {"form": form, "media": self.media + form.media}
        return TemplateResponse(request, f"{_TEMPLATES}/issue_key.html", context)

    @method_decorator(never_cache)
    @method_decorator(sensitive_variables("secret", "context"))
    def rotate_view(self, request: HttpRequest, client_id: int, key_id: int) -> HttpResponse:
        """Ask how long a key shall be good beside its successor; then show that one's secret."""
        client = self._client(request, client_id, "add")
        if not self.has_key_permission(request, "change"):
            raise PermissionDenied
        key = get_object_or_404(ApiKey, pk=key_id, client=client, revoked_at=None)
        form = RotateKeyForm(request.POST or None)
        context = self._context(request, client, _("Rotate a key"))
        if request.method == "POST" and form.is_valid():
            successor, secret = ApiKey.objects.rotate(key, form.overlap)
            done = _("Issued the key %(successor)s in place of %(key)s.")
            self.log_change(request, client, done % {"successor": successor, "key": key})
            context |= {"title": _("The new key"), "key": successor, "secret": secret}
            context |= {"predecessor": key}
            return TemplateResponse(request, f"{_TEMPLATES}/key_issued.html", context)
        context |= {"form": form, "key": key, "media": self.media + form.media}
        return TemplateResponse(request, f"{_TEMPLATES}/issue_key.html", context)

    def revoke_view(self, request: HttpRequest, client_id: int, key_id: int) -> HttpResponse:
        """Ask whether a key shall be refused from now on, and do it."""
        client = self._client(request, client_id, "change")
        key = get_object_or_404(ApiKey, pk=key_id, client=client)
        if request.method == "POST":
            key.revoke()
            self.log_change(request, client, _("Revoked the key %(key)s.") % {"key": key})
            done = _("The key %(key)s is refused from now on.") % {"key": key}
            self.message_user(request, done, messages.SUCCESS)
            return HttpResponseRedirect(self._page_of(client))
        context = self._context(request, client, _("Revoke a key")) | {"key": key}
        return TemplateResponse(request, f"{_TEMPLATES}/revoke_key.html", context)

    def _client(self, request: HttpRequest, client_id: int, action: str) -> ApiClient:
        client = self.get_object(request, str(client_id))
        if client is None:
            raise Http404
        if not self.has_view_or_change_permission(request, client):
            raise PermissionDenied
        if not self.has_key_permission(request, action):
            raise PermissionDenied
        return client

    def _context(self, request: HttpRequest, client: ApiClient, title: str) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "media": self.media,
            "has_view_permission": True,
            "original": client,
            "title": title,
            "subtitle": str(client),
        }

    def _page_of(self, client: ApiClient) -> str:
        page = f"{self.opts.app_label}_{self.opts.model_name}_change"
        return reverse(f"{self.admin_site.name}:{page}", args=[client.pk])
