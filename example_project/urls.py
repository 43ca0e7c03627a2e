"""Where things are in the example project."""

from django.contrib import admin
from django.urls import include, path

from .views import HomeView

urlpatterns = [
    path("", HomeView.as_view(), name="home"),
    path("admin/", admin.site.urls),
    path("django-rq/", include("django_rq.urls")),
    path("api/me/", include("django_pushjobs.api.device_urls")),
    path("api/v1/", include("django_pushjobs.api.urls")),
]
