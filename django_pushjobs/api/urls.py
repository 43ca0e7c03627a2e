"""Routes of the API; mount them with ``path("api/v1/", include("django_pushjobs.api.urls"))``."""

from django.urls import URLPattern, URLResolver, path, re_path
from rest_framework.routers import SimpleRouter

from .views import (
    CallbackEndpointViewSet,
    CallbackEventViewSet,
    DocsView,
    NotFoundView,
    OpenApiView,
    PushRequestViewSet,
)

app_name = "pushjobs"

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("push-requests", PushRequestViewSet, basename="push-request")
router.register("callback-endpoints", CallbackEndpointViewSet, basename="callback-endpoint")
router.register("callbacks", CallbackEventViewSet, basename="callback")

urlpatterns: list[URLPattern | URLResolver] = [
    *router.urls,
    path("openapi.json", OpenApiView.as_view(), name="openapi"),
    path("docs", DocsView.as_view(), name="docs"),
    # Everything else, so that a mistaken address gets a problem as well.
    re_path(r"", NotFoundView.as_view()),
]
