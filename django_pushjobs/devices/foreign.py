"""Devices in the tables of django-push-notifications or fcm-django.

They are read as they are, so a project that uses one of these apps can push without migrating any
data.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured

from ..recipients import BaseResolver
from .resolvers import key_problem, pages, single, slices


class ForeignResolver(BaseResolver):
    """``{"user": key}`` for devices in the tables of another app.

    :param models: backend alias -> name of a model of that app.
    :raises ImproperlyConfigured: the app is not installed.
    :raises ValueError: a model is not one of :attr:`columns`.
    """

    #: Label of the app.
    app: ClassVar[str]
    #: Name of a model -> the columns that its address is made of.
    columns: ClassVar[Mapping[str, tuple[str, ...]]]

    def __init__(self, *, kind: str, models: Mapping[str, str]) -> None:
        super().__init__(kind=kind)
        if not apps.is_installed(self.app):
            raise ImproperlyConfigured(f"{self.app!r} is not in INSTALLED_APPS")
        for name in models.values():
            if name not in self.columns:
                known = ", ".join(self.columns)
                raise ValueError(f"{name!r} is not one of the models of {self.app} ({known})")
        self.models = models

    def validate(self, value: Any) -> str | None:
        return key_problem(value, get_user_model())

    def resolve(self, values: Sequence[Any], *, backend: str) -> Iterable[str]:
        if (name := self.models.get(backend)) is None:
            return
        model = apps.get_model(self.app, name)
        for users in slices(values):
            active = model._default_manager.filter(active=True, user__in=users)
            rows = pages(active, *self.columns[name])
            yield from single((self.address(*row) for row in rows), backend)

    def address(self, *columns: str) -> str:
        """Return the address in the form that our backends expect."""
        return columns[0]


class PushNotificationsResolver(ForeignResolver):
    """Devices of django-push-notifications."""

    app = "push_notifications"
    columns: ClassVar = {
        "GCMDevice": ("registration_id",),
        "APNSDevice": ("registration_id",),
        "WebPushDevice": ("registration_id", "p256dh", "auth"),
    }

    def address(self, *columns: str) -> str:
        if len(columns) == 1:
            return columns[0]
        endpoint, p256dh, auth = columns
        # As a browser serializes its PushSubscription.
        keys = {"p256dh": p256dh, "auth": auth}
        return json.dumps({"endpoint": endpoint, "keys": keys}, separators=(",", ":"))


class FCMDjangoResolver(ForeignResolver):
    """Devices of fcm-django."""

    app = "fcm_django"
    columns: ClassVar = {"FCMDevice": ("registration_id",)}
