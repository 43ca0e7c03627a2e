"""What needs no key: the OpenAPI document, its page, and the problem for a wrong address."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from django.template.response import TemplateResponse
from rest_framework.request import Request
from rest_framework.response import Response

from ..base import ApiView
from ..openapi.document import document_at


class PublicView(ApiView):
    """Needs no key, and is not described."""

    authentication_classes = ()
    permission_classes = ()
    schema = None


class OpenApiView(PublicView):
    """The OpenAPI document of this API alone."""

    def get(self, request: Request) -> Response:
        mount = request.path.rpartition("/")[0]
        return Response(document_at(mount or "/"))


class DocsView(PublicView):
    """The document for people; everything it loads is a static file of this host."""

    def get(self, request: Request) -> TemplateResponse:
        return TemplateResponse(request._request, "django_pushjobs/api/docs.html")


class NotFoundView(PublicView):
    """Answers wherever there is nothing, with a problem as everywhere."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise Http404
