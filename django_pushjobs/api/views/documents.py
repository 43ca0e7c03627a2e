"""What the API says of itself, and that there is nothing elsewhere."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, JsonResponse
from django.views.generic import TemplateView, View
from rest_framework.request import Request

from .. import schema
from ..base import ApiView


class NotFoundView(ApiView):
    """Answers where there is nothing, with a problem as everywhere."""

    authentication_classes = ()
    permission_classes = ()
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise Http404


class OpenApiView(View):
    """The OpenAPI document of this API alone; needs no key."""

    def get(self, request: HttpRequest) -> JsonResponse:
        mount = request.path.rpartition("/")[0]
        return JsonResponse(schema.document(server=mount or "/"))


class DocsView(TemplateView):
    """The document for people, all from static files of this host; needs no key."""

    template_name = "django_pushjobs/api/docs.html"
