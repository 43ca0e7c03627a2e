"""Who may do what with rows that are operated on, but not edited."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db.models import Model
from django.test import RequestFactory

from django_pushjobs.admin.base import OperatedAdmin
from django_pushjobs.models import CallbackEndpoint, CallbackEvent, Device, Pause, PushRequest

pytestmark = pytest.mark.django_db

ACTIONS = ("view", "add", "change", "delete", "operate")
#: Those that nobody may do, not even a superuser.
NOBODY: dict[type[Model], set[str]] = {
    PushRequest: {"add", "change", "delete"},
    Pause: {"add", "change", "delete"},
    CallbackEvent: {"add", "change", "delete"},
    CallbackEndpoint: {"change"},
    Device: {"add", "change"},
}


def allowed(model: type[Model], user: Any) -> set[str]:
    request = RequestFactory().get("/")
    request.user = user
    model_admin = admin.site._registry[model]
    assert isinstance(model_admin, OperatedAdmin)
    return {name for name in ACTIONS if getattr(model_admin, f"has_{name}_permission")(request)}


@pytest.mark.parametrize("model", NOBODY)
def test_a_permission_allows_what_it_says(model: type[Model]) -> None:
    implied = {"change": {"view", "operate"}}
    for name in ("view", "add", "change", "delete"):
        user = User.objects.create_user(name, is_staff=True)
        codename = f"{name}_{model._meta.model_name}"
        user.user_permissions.add(Permission.objects.get(codename=codename))
        assert allowed(model, user) == implied.get(name, {name}) - NOBODY[model], name


@pytest.mark.parametrize("model", NOBODY)
def test_some_things_nobody_may_do(model: type[Model]) -> None:
    superuser = User.objects.create_superuser("root")
    assert allowed(model, superuser) == {*ACTIONS} - NOBODY[model]
