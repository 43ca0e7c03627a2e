"""What the API says of itself, and that there is nothing elsewhere."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from django.template.response import TemplateResponse
from rest_framework.request import Request
from rest_framework.response import Response

from ..base import ApiView
from ..openapi import document


class PublicView(ApiView):
    """Needs no key, and is not described."""

    authentication_classes = ()
    permission_classes = ()
    schema = None


class NotFoundView(PublicView):
    """Answers where there is nothing, with a problem as everywhere."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise Http404


class OpenApiView(PublicView):
    """The OpenAPI document of this API alone."""

    def get(self, request: Request) -> Response:
        mount = request.path.rpartition("/")[0]
        return Response(document.document(server=mount or "/"))


class DocsView(PublicView):
    """The document for people, all from static files of this host."""

    def get(self, request: Request) -> TemplateResponse:
        return TemplateResponse(request._request, "django_pushjobs/api/docs.html")
