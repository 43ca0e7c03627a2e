"""Devices of the user who is logged in: for our own apps and pages, not for third parties."""

from __future__ import annotations

from typing import NoReturn

from django.contrib.auth import get_user_model
from django.http import Http404
from django.views.decorators.debug import sensitive_variables
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ... import devices
from ...exceptions import ProofRequired
from ...models import Device
from .. import bodies
from ..base import JSONView
from ..challenges import challenge
from ..fields import utc
from ..serializers.devices import DeviceSerializer, NewDevice


class IsUser(BasePermission):
    """A user of the project, which a third party with a key is not."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.user, get_user_model()) and request.user.is_active


class DeviceApiView(JSONView):
    """Part of the project's own API: its ``DEFAULT_AUTHENTICATION_CLASSES`` say who is logged in,
    and its throttles how often they may call."""

    permission_classes = (IsUser,)
    schema = None

    def permission_denied(
        self, request: Request, message: str | None = None, code: str | None = None
    ) -> NoReturn:
        raise PermissionDenied("Log in first: only users of the site have devices.")


class DevicesView(DeviceApiView):
    """``GET``: the devices of the user. ``POST``: register one, or renew it.

    Whoever is logged in can name any address, so one that is in use by somebody else has to be
    proved.
    """

    def get(self, request: Request) -> Response:
        rows = Device.objects.filter(user=request.user.pk).prefetch_related("tag_rows")
        shown = [DeviceSerializer(row).data for row in rows[: devices.MAX_DEVICES]]
        return Response({"devices": shown})

    @sensitive_variables()
    def post(self, request: Request) -> Response:
        values = bodies.read(NewDevice, request.data)
        try:
            device, is_new = devices.register(request.user, **values, trusted=False)
        except ProofRequired as required:
            expires_at = challenge(request.user, values["address"], required)
            return Response({"state": "unproven", "expires_at": utc(expires_at)}, status=202)
        return Response(DeviceSerializer(device).data, status=201 if is_new else 200)


class DeviceView(DeviceApiView):
    """``DELETE``: forget one device of the user."""

    def delete(self, request: Request, id: int) -> Response:  # noqa: A002
        if not devices.unregister(request.user, id):
            raise Http404
        return Response(status=204)
