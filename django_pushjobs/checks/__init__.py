"""System checks: ``manage.py check`` finds mistakes in the settings before they cost a push.

docs/reference/checks.rst lists the ids. No check uses the database, Redis or the network. What only
a backend can know it reports itself, see :meth:`~django_pushjobs.backends.BasePushBackend.check`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, get_type_hints

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from ..conf import Conf
from .backends import wrong_backends, wrong_default, wrong_device_backends, wrong_test_backend
from .project import fragile_sqlite, insecure_destinations, missing_apps, naive_times
from .queues import wrong_allowed_jobs, wrong_queues
from .resolvers import wrong_resolvers
from .values import (
    RANGES,
    unknown_keys,
    wrong_prefix,
    wrong_rule,
    wrong_values,
    wrong_waits,
)

__all__ = ["RANGES", "TAG", "check_project", "check_settings"]

TAG: Final = "django_pushjobs"


@register(TAG)
def check_settings(
    app_configs: Iterable[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Check ``PUSHJOBS`` and what it refers to."""
    given = getattr(settings, "PUSHJOBS", {})
    if not isinstance(given, dict):
        return [
            Error(
                "PUSHJOBS must be a dict.",
                hint="See docs/reference/settings.rst.",
                id="django_pushjobs.E001",
            )
        ]
    wrong = dict(wrong_values(given))
    defaults = Conf()
    values = {key: given.get(key, getattr(defaults, key)) for key in get_type_hints(Conf)}
    messages = [*unknown_keys(given), *wrong.values()]
    if "BACKENDS" not in wrong:
        entries = values["BACKENDS"]
        messages += wrong_backends(entries, ask=not wrong, **kwargs)
        if "DEFAULT_BACKEND" not in wrong:
            messages += wrong_default(entries, values["DEFAULT_BACKEND"])
        if "DEVICE_BACKENDS" not in wrong:
            messages += wrong_device_backends(entries, values["DEVICE_BACKENDS"])
        if "TEST_BACKEND" not in wrong:
            messages += wrong_test_backend(entries, values["TEST_BACKEND"])
    if "RESOLVERS" not in wrong:
        messages += wrong_resolvers(values["RESOLVERS"])
    if "QUEUES" not in wrong:
        callback_queue = "" if "CALLBACK_QUEUE" in wrong else values["CALLBACK_QUEUE"]
        messages += wrong_queues(values["QUEUES"], callback_queue)
        if "ALLOWED_JOBS" not in wrong:
            ours = [callback_queue, *values["QUEUES"].values()]
            messages += wrong_allowed_jobs(values["ALLOWED_JOBS"], ours)
    if "REDIS_PREFIX" not in wrong:
        messages += wrong_prefix(values["REDIS_PREFIX"])
    if "LIMITS_WITHOUT_REDIS" not in wrong:
        messages += wrong_rule(values["LIMITS_WITHOUT_REDIS"])
    if not wrong.keys() & {"RETRY_BASE", "RETRY_CAP"}:
        messages += wrong_waits(values["RETRY_BASE"], values["RETRY_CAP"])
    return messages


@register(TAG)
def check_project(
    app_configs: Iterable[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Check what we need from the rest of the project."""
    return [*missing_apps(), *naive_times(), *fragile_sqlite(), *insecure_destinations()]
