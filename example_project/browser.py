"""The browser demo: subscribe this browser, send yourself a message, watch what happens to it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.urls import reverse, reverse_lazy
from django.utils import timezone
from django.views.generic import TemplateView, View

from django_pushjobs.models import ApiClient, ApiKey

from .vapid import public_key

#: Nothing inline, nothing from elsewhere.
CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
#: How long the key of a page is valid.
KEY_LIFETIME: Final = timedelta(hours=1)


class BrowserView(LoginRequiredMixin, TemplateView):
    """The page. A device belongs to a user, so it requires a login."""

    template_name = "example_project/browser.html"
    login_url = reverse_lazy("admin:login")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(
            vapid_key=public_key(settings.VAPID_PRIVATE_KEY),
            api_url=reverse("pushjobs:push-request-list"),
            **kwargs,
        )

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = super().dispatch(request, *args, **kwargs)
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        return response


class ServiceWorkerView(View):
    """The service worker, at this path because it may only control pages below its own."""

    def get(self, request: HttpRequest) -> HttpResponse:
        found = finders.find("example_project/service-worker.js")
        response = HttpResponse(Path(str(found)).read_bytes(), content_type="text/javascript")
        response.headers["Cache-Control"] = "no-cache"
        return response


class KeyView(LoginRequiredMixin, View):
    """A key for the page, which acts as the third party as well.

    A real third party keeps its key on a server; this one is valid for an hour, and given to anyone
    who may log in to the demo.
    """

    def post(self, request: HttpRequest) -> JsonResponse:
        client, _ = ApiClient.objects.get_or_create(name="browser demo")
        end = timezone.now() + KEY_LIFETIME
        _, secret = ApiKey.objects.issue(client, "page", scopes=["submit", "read"], expires_at=end)
        response = JsonResponse({"key": secret})
        response.headers["Cache-Control"] = "no-store"
        return response
