"""The routes that the OpenAPI document describes, in its order."""

from __future__ import annotations

from rest_framework.routers import SimpleRouter

from .views.callbacks import CallbackEndpointViewSet, CallbackEventViewSet
from .views.push_requests import PushRequestViewSet

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("push-requests", PushRequestViewSet, basename="push-request")
router.register("callback-endpoints", CallbackEndpointViewSet, basename="callback-endpoint")
router.register("callbacks", CallbackEventViewSet, basename="callback")

urlpatterns = router.urls
