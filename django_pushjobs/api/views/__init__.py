"""The operations of the API, a module for each noun.

They read and answer; whatever changes a row is a service.
"""

from .callbacks import CallbackEndpointViewSet, CallbackEventViewSet
from .documents import DocsView, NotFoundView, OpenApiView
from .push_requests import PushRequestViewSet

__all__ = [
    "CallbackEndpointViewSet",
    "CallbackEventViewSet",
    "DocsView",
    "NotFoundView",
    "OpenApiView",
    "PushRequestViewSet",
]
