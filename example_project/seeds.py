"""What the database needs before the demo: tables, an account to log in, a client with a key.

Import this after ``django.setup()``.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connections
from django.utils import timezone

from django_pushjobs.models import ApiClient, ApiKey

ADMIN = "admin"
CLIENT = "demo"


@dataclass(frozen=True, slots=True)
class Seeds:
    """What there is to use.

    :param key: a key for the API.
    :param login: user name and password, or None if there is no account to show.
    """

    key: str
    login: tuple[str, str] | None


def plant() -> Seeds:
    """Migrate the database and create what is missing; the key is a new one each time."""
    call_command("migrate", verbosity=0, interactive=False)
    if not settings.DEBUG:
        call_command("collectstatic", verbosity=0, interactive=False)
    seeds = Seeds(key=_new_key(), login=_login())
    connections.close_all()
    return seeds


def database() -> str:
    """Return a description of the database, without its password."""
    connection = connections["default"]
    name = connection.settings_dict["NAME"]
    host = connection.settings_dict["HOST"]
    return f"{connection.display_name}, {name}" + (f" on {host}" if host else "")


def _new_key() -> str:
    client, _ = ApiClient.objects.get_or_create(name=CLIENT)
    now = timezone.now()
    client.keys.filter(revoked_at=None).update(revoked_at=now)
    _, secret = ApiKey.objects.issue(client, f"make run, {now:%Y-%m-%d %H:%M}")
    return secret


def _login() -> tuple[str, str] | None:
    """Create the account ``admin`` with that same password, for development only.

    An existing account of that name is left alone, and shown if it has that password.
    """
    if not settings.DEBUG:
        return None
    users = get_user_model()._default_manager
    user = users.filter(username=ADMIN).first()
    if user is None:
        user = users.create_superuser(username=ADMIN, email="", password=ADMIN)
    return (ADMIN, ADMIN) if user.check_password(ADMIN) else None
