"""The URLs of the example project."""

from django.contrib import admin
from django.urls import include, path

from .browser import BrowserView, KeyView, ServiceWorkerView
from .views import HomeView

urlpatterns = [
    path("", HomeView.as_view(), name="home"),
    path("browser/", BrowserView.as_view(), name="browser"),
    path("browser/key", KeyView.as_view(), name="browser-key"),
    path("browser/service-worker.js", ServiceWorkerView.as_view(), name="browser-worker"),
    path("admin/", admin.site.urls),
    path("django-rq/", include("django_rq.urls")),
    path("api/me/", include("django_pushjobs.api.device_urls")),
    path("api/v1/", include("django_pushjobs.api.urls")),
]
