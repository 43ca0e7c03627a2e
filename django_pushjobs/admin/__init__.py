"""Django's admin for push requests, clients and their keys, callbacks and devices.

Pages read models. Whatever changes a push request goes through services.

There is a module per model: :mod:`.push_requests`, :mod:`.clients`, :mod:`.callback_endpoints`,
:mod:`.callback_events`, :mod:`.devices` and :mod:`.pauses`. What they share is in :mod:`.base`; how
values look is in :mod:`.badges` and :mod:`.formatting`. The list of push requests consists of
:mod:`.change_list`, :mod:`.filters` and :mod:`.search`; the page of one consists of
:mod:`.timeline` and :mod:`.deliveries`. What its buttons and actions do is in
:mod:`.request_operations`; those of endpoints are in :mod:`.endpoint_operations`.
"""

from django.contrib import admin

from ..models import ApiClient, CallbackEndpoint, CallbackEvent, Device, Pause, PushRequest
from .callback_endpoints import CallbackEndpointAdmin
from .callback_events import CallbackEventAdmin
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
