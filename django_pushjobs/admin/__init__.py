"""Django's admin for push requests, clients and their keys, callbacks.

Pages read models; whatever changes a push request goes through services.
"""

from django.contrib import admin

from ..models import ApiClient, CallbackEndpoint, CallbackEvent, Device, Pause, PushRequest
from .callback_endpoints import CallbackEndpointAdmin
from .callbacks import CallbackEventAdmin
from .clients import ApiClientAdmin
from .devices import DeviceAdmin
from .pauses import PauseAdmin
from .push_requests import PushRequestAdmin

admin.site.register(PushRequest, PushRequestAdmin)
admin.site.register(ApiClient, ApiClientAdmin)
admin.site.register(Pause, PauseAdmin)
admin.site.register(CallbackEndpoint, CallbackEndpointAdmin)
admin.site.register(CallbackEvent, CallbackEventAdmin)
admin.site.register(Device, DeviceAdmin)
