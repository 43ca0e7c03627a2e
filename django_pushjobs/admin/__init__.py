"""Django's admin for push requests, clients and their keys.

Pages read models; whatever changes a push request goes through services.
"""

from django.contrib import admin

from ..models import ApiClient, Pause, PushRequest
from .clients import ApiClientAdmin
from .pauses import PauseAdmin
from .push_requests import PushRequestAdmin

admin.site.register(PushRequest, PushRequestAdmin)
admin.site.register(ApiClient, ApiClientAdmin)
admin.site.register(Pause, PauseAdmin)
