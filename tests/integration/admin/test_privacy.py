"""What an operator without the permission to see addresses cannot find out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db.models import Model
from django.test import Client
from pytest_django import Settings

from django_pushjobs import devices
from django_pushjobs.admin.base import PushJobsAdmin
from django_pushjobs.admin.masking import masked
from django_pushjobs.backends import vapid
from django_pushjobs.models import Device
from django_pushjobs.states import Status
from tests.support.samples import a_push_request, some_deliveries

pytestmark = pytest.mark.django_db

ADDRESS = "very-secret-address-of-anna"
ADMINS = [m for m, a in admin.site._registry.items() if isinstance(a, PushJobsAdmin)]


@pytest.fixture(autouse=True)
def _devices(settings: Settings) -> None:
    settings.PUSHJOBS = settings.PUSHJOBS | {"DEVICE_BACKENDS": {"web": "locmem"}}


def url(model: type[Model], rest: str = "") -> str:
    return f"/admin/django_pushjobs/{model._meta.model_name}/{rest}"


def log_in(client: Client, *codenames: str) -> None:
    user = User.objects.create_user("operator", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client.force_login(user)


def declared(model: type[Model]) -> set[str]:
    """Return the names of the fields with a filter."""
    site_admin = admin.site._registry[model]
    names = {f if isinstance(f, str) else f[0] for f in site_admin.list_filter if _is_field(f)}
    return names | {f.parameter_name for f in site_admin.list_filter if not _is_field(f)}  # type: ignore[union-attr]


def _is_field(item: Any) -> bool:
    return isinstance(item, str | tuple)


@pytest.mark.parametrize("model", ADMINS)
def test_a_list_is_filtered_by_nothing_but_its_filters(model: type[Model], client: Client) -> None:
    log_in(client, f"view_{model._meta.model_name}")
    paths = []
    for field in model._meta.get_fields():
        if field.name not in declared(model):
            paths.append(field.name)
        if (related := field.related_model) is not None:
            assert not isinstance(related, str)
            paths += [f"{field.name}__{f.name}" for f in related._meta.fields if f.name != "id"]
    assert len(paths) > 4
    for path in paths:
        for lookup in ("", "__exact", "__icontains", "__startswith", "__gt", "__regex", "__0"):
            response = client.get(url(model), {f"{path}{lookup}": "a"})
            assert response.status_code == 400, path + lookup


@pytest.mark.parametrize("model", ADMINS)
def test_the_filters_themselves_still_work(model: type[Model], admin_client: Client) -> None:
    for name in declared(model):
        response = admin_client.get(url(model), {name: "1"})
        assert response.status_code in (200, 302), name


@pytest.mark.parametrize(
    ("may_see", "visible"), [(["view_address"], True), ([], False), (["change_delivery"], False)]
)
def test_recipients_and_deliveries_are_masked(
    client: Client, may_see: list[str], visible: bool
) -> None:
    recipients = [ADDRESS, {"address": ADDRESS}, {"user": 4711}, {"tag": "news"}, {"mail": ADDRESS}]
    request = a_push_request(Status.FAILED, recipients=recipients)
    some_deliveries(request, 1)
    request.deliveries.update(address=ADDRESS)
    log_in(client, "view_pushrequest", "view_delivery", *may_see)
    text = client.get(url(type(request), f"{request.pk}/change/")).content.decode()
    assert (ADDRESS in text) is visible
    assert ("…anna" in text) is not visible
    assert "4711" in text
    assert "news" in text


def test_devices_are_masked_wherever_they_are_named(client: Client) -> None:
    device, _ = devices.register(None, platform="web", address=ADDRESS)
    log_in(client, "view_device", "change_device", "delete_device")
    row = f"{device.pk}/"
    pages = [client.get(url(Device, rest)) for rest in ("", f"{row}change/", f"{row}delete/")]
    act = {"action": "delete_selected", "_selected_action": [device.pk]}
    pages.append(client.post(url(Device), act))
    client.post(url(Device), act | {"action": "drop_selected"})
    pages.append(client.get(url(Device, f"{row}history/")))
    told = "".join(page.content.decode() for page in pages)
    told += "".join(f"{e.object_repr} {e.change_message}" for e in LogEntry.objects.all())
    assert {page.status_code for page in pages} == {200}
    assert "…anna" in told
    assert ADDRESS not in told
    assert device.address_hash[:8] not in told


def test_only_those_who_may_see_addresses_search_for_one(client: Client) -> None:
    owner = User.objects.create_user("anna")
    devices.register(owner, platform="web", address=ADDRESS)
    log_in(client, "view_device")
    found = client.get(url(Device), {"q": ADDRESS}).context["cl"]
    assert found.result_count == 0
    assert "address" not in str(found.search_help_text)
    assert client.get(url(Device), {"q": str(owner.pk)}).context["cl"].result_count == 1
    operator = User.objects.get(username="operator")
    operator.user_permissions.add(Permission.objects.get(codename="view_address"))
    found = client.get(url(Device), {"q": ADDRESS}).context["cl"]
    assert found.result_count == 1
    assert "address" in str(found.search_help_text)


def test_a_mask_shows_neither_a_key_nor_most_of_a_short_address(settings: Settings) -> None:
    options = {"private_key": vapid.private_text(vapid.new_key()), "subject": "mailto:a@b.example"}
    web = {"BACKEND": "django_pushjobs.backends.webpush.WebPushBackend", "OPTIONS": options}
    settings.PUSHJOBS = settings.PUSHJOBS | {"BACKENDS": {"web": web}}
    keys = {"p256dh": "key", "auth": "auth"}
    subscription = {"endpoint": "https://push.example/send/abcdefgh", "keys": keys}
    assert masked(json.dumps(subscription), "web") == "…efgh"
    for hidden in ("123456", json.dumps({"keys": keys}), 17, {"a": "b"}):
        assert masked(hidden, "web") == "…"
    # A backend that is not in the settings any more.
    assert masked(json.dumps(subscription), "gone") == "…"
