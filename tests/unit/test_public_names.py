"""What users name stays where it is: in their settings, their code, their URLs, and in Redis.

The list is the promise of docs/explanation/versioning.rst. A name that must go is deprecated first.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.management import get_commands
from django.utils.module_loading import import_string

from django_pushjobs.backends import BasePushBackend
from django_pushjobs.broker import queues
from django_pushjobs.conf import conf
from django_pushjobs.recipients import BaseResolver

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "django_pushjobs"

#: Module -> names of it that are used from outside.
NAMES = {
    "services": ("submit", "submit_many", "cancel", "retry", "resume", "Submission"),
    "jobs": ("run_push_request", "call_endpoint"),
    "backends": (
        *("BasePushBackend", "Message", "Target", "Outcome", "OutcomeClass", "accepted"),
        *("Scope", "backends"),
    ),
    "backends.locmem": ("LocMemBackend", "Pushed", "clear", "outbox", "script"),
    "recipients": ("BaseResolver", "AddressResolver", "RegisteredAddress"),
    "devices": ("register", "unregister", "drop", "revive"),
    "testing": ("BackendContract", "captured_pushes"),
    "signals": (
        *("push_request_submitted", "push_request_finished", "push_request_canceled"),
        *("backend_paused", "backend_resumed"),
    ),
    "states": ("Status", "DeliveryStatus", "OnUnknown", "Priority"),
    "exceptions": (
        *("ConfigurationError", "PushJobsError", "FieldError", "InvalidPushRequest"),
        *("InvalidCallbackEndpoint", "InvalidDevice", "InvalidTransition", "LimitExceeded"),
        *("DestinationRefused", "SecretUnreadable"),
    ),
    "models": (
        *("PushRequest", "Delivery", "Attempt", "AttemptEnd", "Pause"),
        *("ApiClient", "ApiKey", "Scope", "IdempotencyRecord"),
        *("CallbackEndpoint", "CallbackEvent", "CallbackAttempt"),
        *("CallbackStatus", "DisabledReason", "EndpointState", "EventType"),
        *("Device", "DeviceState", "DeviceTag", "Platform"),
    ),
    "client": (
        *("PushClient", "PushRequest", "Receipt", "Counts", "Failure", "Problem"),
        *("Callback", "verify_callback", "InvalidCallback"),
        *("PushError", "ApiError", "AuthenticationFailed", "Conflict", "Forbidden"),
        *("InvalidRequest", "NotFound", "RateLimited", "Unavailable", "Unreachable"),
    ),
    "api.urls": ("urlpatterns",),
    "api.device_urls": ("urlpatterns",),
    "worker.gevent_worker": ("GeventWorker",),
}
BACKENDS = (
    "apns.APNsBackend",
    "console.ConsoleBackend",
    "dummy.DummyBackend",
    "fcm.FCMBackend",
    "http.HTTPBackend",
    "locmem.LocMemBackend",
    "sandbox.SandboxBackend",
    "webpush.WebPushBackend",
)
RESOLVERS = (
    "recipients.AddressResolver",
    "devices.resolvers.UserResolver",
    "devices.resolvers.TagResolver",
    "devices.foreign.PushNotificationsResolver",
    "devices.foreign.FCMDjangoResolver",
)
COMMANDS = {
    "pushjobs_callbacks",
    "pushjobs_relay",
    "pushjobs_vapid",
    "pushjobs_workers",
    "rqgeventworker",
}


@pytest.mark.parametrize(
    "path", [f"{PACKAGE}.{module}.{name}" for module, names in NAMES.items() for name in names]
)
def test_a_public_name_imports(path: str) -> None:
    import_string(path)


@pytest.mark.parametrize("path", BACKENDS)
def test_the_path_of_a_backend_stays(path: str) -> None:
    assert issubclass(import_string(f"{PACKAGE}.backends.{path}"), BasePushBackend)


@pytest.mark.parametrize("path", RESOLVERS)
def test_the_path_of_a_resolver_stays(path: str) -> None:
    assert issubclass(import_string(f"{PACKAGE}.{path}"), BaseResolver)


def test_the_default_settings_name_such_paths() -> None:
    paths = [entry["BACKEND"] for entry in type(conf())().BACKENDS.values()]
    paths += [entry["RESOLVER"] for entry in type(conf())().RESOLVERS.values()]
    known = [*(f"backends.{path}" for path in BACKENDS), *RESOLVERS]
    assert {path.removeprefix(f"{PACKAGE}.") for path in paths} <= set(known)


@pytest.mark.parametrize("name", NAMES["jobs"])
def test_the_paths_of_the_jobs_are_those_that_are_enqueued(name: str) -> None:
    """Jobs that were enqueued before an upgrade are run after it."""
    path = f"{PACKAGE}.jobs.{name}"
    assert callable(import_string(path))
    assert path in (queues.JOB, queues.CALLBACK_JOB)


def test_the_commands_stay() -> None:
    assert {name for name, app in get_commands().items() if app == PACKAGE} == COMMANDS


def test_the_page_names_them() -> None:
    text = (ROOT / "docs/explanation/versioning.rst").read_text("utf-8")
    words = set(re.findall(r"[\w.]+", text))
    for module in ("services", "backends", "devices", "testing", "jobs"):
        assert module in words or any(word.startswith(f"{module}.") for word in words)
        assert set(NAMES[module]) - {"Submission", "backends"} <= {
            word.removeprefix(f"{module}.") for word in words
        }
