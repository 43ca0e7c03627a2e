"""Devices, as an app registers them and as their user sees them."""

from __future__ import annotations

from rest_framework import serializers

from ...exceptions import InvalidDevice
from ...models import Device
from ..bodies import Body
from ..fields import AnyField, UTCTimeField


class NewDevice(Body):
    """A device of the user who is logged in. :func:`~...devices.register` has the rules."""

    invalid = InvalidDevice

    platform = AnyField()
    address = AnyField()
    app = AnyField(required=False)
    locale = AnyField(required=False)
    tags = AnyField(required=False)
    proof = AnyField(required=False)


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
