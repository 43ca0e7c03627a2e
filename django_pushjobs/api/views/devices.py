"""Devices of the user who is logged in: for our own apps and pages, not for third parties."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from django.contrib.auth import get_user_model
from django.http import Http404, HttpRequest
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ... import devices, sentry
from ...exceptions import FieldError, InvalidDevice
from ...models import Device
from ..base import AlwaysJSON, ResourceRenderer
from ..fields import UTCTimeField
from ..parsers import StrictJSONParser
from ..problems import problem_handler
from ..tracing import Trace

_MEMBERS = frozenset({"platform", "address", "app", "locale", "tags"})


class IsUser(BasePermission):
    """A user of the project; a third party's key is none."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.user, get_user_model()) and request.user.is_active


class DeviceSerializer(serializers.Serializer[Device]):
    """A device as its user may see it. The address is not repeated."""

    id = serializers.IntegerField(read_only=True)
    platform = serializers.CharField(read_only=True)
    app = serializers.CharField(read_only=True)
    locale = serializers.CharField(read_only=True)
    tags = serializers.ListField(read_only=True)
    state = serializers.CharField(read_only=True)
    reason = serializers.CharField(read_only=True)
    registered_at = UTCTimeField(read_only=True)
    last_seen_at = UTCTimeField(read_only=True)


class DeviceApiView(APIView):
    """Who is logged in, the project's own ``DEFAULT_AUTHENTICATION_CLASSES`` say, and how often
    they may call, its throttles: these calls are part of the project's API."""

    renderer_classes = (ResourceRenderer,)
    parser_classes = (StrictJSONParser,)
    permission_classes = (IsUser,)
    content_negotiation_class = AlwaysJSON
    schema = None

    trace: Trace

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        # Addresses are nobody's business.
        sentry.protect()
        self.trace = Trace.of(request.headers)
        return super().initialize_request(request, *args, **kwargs)

    def permission_denied(
        self, request: Request, message: str | None = None, code: str | None = None
    ) -> NoReturn:
        raise PermissionDenied("Log in first: this is for users of the site.")

    def get_exception_handler(self) -> Callable[[Exception, Mapping[str, Any]], Response]:
        return problem_handler


class DevicesView(DeviceApiView):
    """``GET``: the devices of the user. ``POST``: register one, or renew it."""

    def get(self, request: Request) -> Response:
        rows = Device.objects.filter(user=request.user.pk).prefetch_related("tag_rows")
        shown = [DeviceSerializer(row).data for row in rows[: devices.MAX_DEVICES]]
        return Response({"devices": shown})

    def post(self, request: Request) -> Response:
        body = request.data
        if not isinstance(body, dict):
            raise InvalidDevice([FieldError("", "must be an object", "invalid_type")])
        errors = [
            FieldError(f"/{name[:64]}", "is not known here", "unknown_field")
            for name in body.keys() - _MEMBERS
        ]
        errors += [
            FieldError(f"/{name}", "is required", "required")
            for name in ("platform", "address")
            if name not in body
        ]
        if errors:
            raise InvalidDevice(errors)
        device, is_new = devices.register(request.user, **body)
        return Response(DeviceSerializer(device).data, status=201 if is_new else 200)


class DeviceView(DeviceApiView):
    """``DELETE``: forget one device of the user."""

    def delete(self, request: Request, id: int) -> Response:  # noqa: A002
        if not devices.unregister(request.user, id):
            raise Http404
        return Response(status=204)
