"""The whole API; mount it with ``path("api/v1/", include("django_pushjobs.api.urls"))``."""

from django.urls import URLPattern, URLResolver, path, re_path

from . import routes
from .views.documents import DocsView, NotFoundView, OpenApiView

app_name = "pushjobs"

urlpatterns: list[URLPattern | URLResolver] = [
    *routes.urlpatterns,
    path("openapi.json", OpenApiView.as_view(), name="openapi"),
    path("docs", DocsView.as_view(), name="docs"),
    # Everything else, so that a wrong address gets a problem as well.
    re_path(r"", NotFoundView.as_view()),
]
