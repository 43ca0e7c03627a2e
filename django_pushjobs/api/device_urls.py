"""Where a project's own apps and pages register devices; mount it beside the project's own API::

path("api/me/", include("django_pushjobs.api.device_urls"))
"""

from django.urls import path

from .views.devices import DevicesView, DeviceView

app_name = "pushjobs-devices"

urlpatterns = [
    path("devices", DevicesView.as_view(), name="devices"),
    path("devices/<int:id>", DeviceView.as_view(), name="device"),
]
