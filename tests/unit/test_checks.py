"""Every mistake in the settings has a check, and a check never fails itself."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from django.conf import settings
from django.core.checks import CheckMessage, run_checks
from django.core.management import call_command
from django.db import connection
from django.test import override_settings

from django_pushjobs.backends.dummy import DummyBackend
from django_pushjobs.checks import TAG
from django_pushjobs.recipients import AddressResolver

DUMMY = {"BACKEND": "django_pushjobs.backends.dummy.DummyBackend"}
HTTP = "django_pushjobs.backends.http.HTTPBackend"
ADDRESS = {"RESOLVER": "django_pushjobs.recipients.AddressResolver"}
JSON = "rq.serializers.JSONSerializer"


class StubbornBackend(DummyBackend):
    def __init__(self, *, alias: str) -> None:
        super().__init__(alias=alias)
        raise RuntimeError("no licence")


class ConfusedBackend(DummyBackend):
    def __init__(self, *, alias: str, timeout: float | None = None) -> None:
        super().__init__(alias=alias)
        self.timeout = timeout

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        if self.timeout is not None:
            return super().check(**kwargs)
        raise LookupError("no idea")


class StubbornResolver(AddressResolver):
    def __init__(self, *, kind: str) -> None:
        super().__init__(kind=kind)
        raise RuntimeError("no directory")


class LineSerializer:
    """Somebody's own, and JSON all the same."""

    @staticmethod
    def dumps(value: Any) -> bytes:
        return json.dumps(value).encode() + b"\n"

    @staticmethod
    def loads(data: bytes) -> Any:
        return json.loads(data)


@pytest.fixture(autouse=True)
def no_queries() -> Iterator[None]:
    """No test here may use the database: pytest-django refuses, and so does this."""

    def refuse(*args: object) -> None:
        raise AssertionError("a check made a query")

    with connection.execute_wrapper(refuse):
        yield


def found(**changed: Any) -> list[CheckMessage]:
    with override_settings(**changed):
        return run_checks(tags=[TAG])


def found_in(pushjobs: Any) -> list[CheckMessage]:
    """Return what the checks find in a PUSHJOBS that is right but for ``pushjobs``."""
    if isinstance(pushjobs, dict):
        pushjobs = {"BACKENDS": {"default": DUMMY}} | pushjobs
    return found(PUSHJOBS=pushjobs)


def ids(messages: list[CheckMessage]) -> list[str]:
    return [str(message.id).removeprefix("django_pushjobs.") for message in messages]


def test_the_settings_of_the_example_project_are_right() -> None:
    assert found() == []


def test_no_settings_at_all_are_right() -> None:
    assert found_in({}) == []
    with override_settings(PUSHJOBS={}):
        del settings.PUSHJOBS
        assert run_checks(tags=[TAG]) == []


def test_manage_py_check_passes() -> None:
    # Ours only: Django's own check of JSON fields asks SQLite whether it knows JSON.
    call_command("check", tags=[TAG], fail_level="WARNING")


@pytest.mark.parametrize("value", [None, [], "x", 5, DUMMY.items()])
def test_e001_not_a_dict(value: Any) -> None:
    assert ids(found_in(value)) == ["E001"]


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("LEAS", "Did you mean 'LEASE'?"),
        ("max_attempts", "Did you mean 'MAX_ATTEMPTS'?"),
        ("BACKEND", "Did you mean 'BACKENDS'?"),
        ("XYZZY", "Keys are BACKENDS, "),
        (7, "Keys are BACKENDS, "),
    ],
)
def test_e002_unknown_key(key: Any, hint: str) -> None:
    (message,) = found_in({key: 1})
    assert ids([message]) == ["E002"]
    assert repr(key) in message.msg
    assert str(message.hint).startswith(hint)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("JOB_TIMEOUT", "180"),
        ("JOB_TIMEOUT", 1.5),
        ("JOB_TIMEOUT", True),
        ("JOB_TIMEOUT", None),
        ("LEASE", "60"),
        ("LEASE", False),
        ("SENTRY_SEND_PAYLOADS", 1),
        ("DEFAULT_BACKEND", None),
        ("BACKENDS", [DUMMY]),
        ("RESOLVERS", "address"),
        ("QUEUES", {"pushjobs"}),
    ],
)
def test_e003_wrong_type(key: str, value: Any) -> None:
    (message,) = found_in({key: value})
    assert ids([message]) == ["E003"]
    assert repr(key) in message.msg


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("JOB_TIMEOUT", 0),
        ("JOB_TIMEOUT", -1),
        ("RESULT_TTL", -1),
        ("MAX_RECIPIENTS", 0),
        ("FANOUT", 1_001),
        ("MAX_ATTEMPTS", 0),
        ("RETRY_FOR", -1),
        ("LEASE", 0.5),
        ("LEASE", float("nan")),
        ("LEASE", float("inf")),
        ("RELAY_INTERVAL", 0),
        ("LOST_JOB_AFTER", -5.0),
    ],
)
def test_e004_out_of_range(key: str, value: Any) -> None:
    (message,) = found_in({key: value})
    assert ids([message]) == ["E004"]
    assert repr(key) in message.msg


def test_a_whole_number_is_as_good_as_a_float() -> None:
    assert found_in({"LEASE": 30, "RETRY_BASE": 0, "RESULT_TTL": 0}) == []


def test_none_is_a_value_where_it_means_something() -> None:
    assert found_in({"MAX_ATTEMPTS": None}) == []
    assert ids(found_in({"MAX_ATTEMPTS": "5"})) == ["E003"]
    assert ids(found_in({"MAX_BATCH": None})) == ["E003"]


@pytest.mark.parametrize(
    "entry",
    [
        {"x": None},
        {"x": "django_pushjobs.backends.dummy.DummyBackend"},
        {"x": {}},
        {"x": {"BACKEND": DummyBackend}},
        {"x": DUMMY | {"OPTION": {}}},
        {"x": DUMMY | {"OPTIONS": [1]}},
        {"": DUMMY},
        {"x" * 65: DUMMY},
        {3: DUMMY},
    ],
)
def test_e005_malformed_backend(entry: dict[Any, Any]) -> None:
    assert ids(found_in({"BACKENDS": {"default": DUMMY} | entry})) == ["E005"]


@pytest.mark.parametrize(
    "path",
    [
        "nowhere.Backend",
        "django_pushjobs.backends.dummy.Dummy",
        "DummyBackend",
        "django_pushjobs.recipients.AddressResolver",
        "django_pushjobs.backends.base.payload_size",
    ],
)
def test_e006_backend_cannot_be_imported(path: str) -> None:
    (message,) = found_in({"BACKENDS": {"default": DUMMY, "sms": {"BACKEND": path}}})
    assert ids([message]) == ["E006"]
    assert "'sms'" in message.msg
    assert path in message.msg


@pytest.mark.parametrize(
    ("path", "options"),
    [
        (DUMMY["BACKEND"], {"url": "http://localhost/"}),
        (HTTP, {}),
        (HTTP, {"url": "http://localhost/", "time_out": 5}),
        (HTTP, {"url": None}),
        (HTTP, {"url": "ftp://localhost/"}),
        (HTTP, {"url": "localhost:80"}),
        (HTTP, {"url": "http:///messages"}),
        (HTTP, {"url": "http://localhost:99999/"}),
        (HTTP, {"url": "http://user:secret@localhost/"}),
        (HTTP, {"url": "http://localhost/a b"}),
        (HTTP, {"url": "http://localhost/", "timeout": 0}),
        (HTTP, {"url": "http://localhost/", "timeout": "5"}),
        (HTTP, {"url": "http://localhost/", "connections": True}),
        (HTTP, {"url": "http://localhost/", "connections": -1}),
        (HTTP, {"url": "http://localhost/", "max_payload": 0}),
        (HTTP, {"url": "http://localhost/", "headers": {"X": "a\r\nY: secret"}}),
        (HTTP, {"url": "http://localhost/", "headers": {"X Y": "1"}}),
        (HTTP, {"url": "http://localhost/", "headers": {"X": 1}}),
        (HTTP, {"url": "http://localhost/", "headers": {"Content-Length": "1"}}),
        (HTTP, {"url": "https://localhost/", "ca_file": "/nowhere.pem"}),
        (f"{__name__}.StubbornBackend", {}),
    ],
)
def test_e007_wrong_options(path: str, options: dict[str, Any]) -> None:
    entry = {"BACKEND": path, "OPTIONS": options}
    (message,) = found_in({"BACKENDS": {"default": DUMMY, "sms": entry}})
    assert ids([message]) == ["E007"]
    assert message.msg.startswith("Push backend 'sms': ")
    assert "secret" not in message.msg


def test_e007_names_the_option() -> None:
    (message,) = found_in({"BACKENDS": {"default": DUMMY, "sms": {"BACKEND": HTTP}}})
    assert "'url'" in message.msg


@pytest.mark.parametrize("wrong", [{"RATE": 0}, {"CONCURRENCY": "5"}, {"ON_UNKNOWN": "hope"}])
def test_e007_wrong_policy(wrong: dict[str, Any]) -> None:
    (message,) = found_in({"BACKENDS": {"default": DUMMY, "sms": DUMMY | wrong}})
    assert ids([message]) == ["E007"]
    assert message.msg.startswith(f"Push backend 'sms': {next(iter(wrong))} must be ")


def test_e020_a_check_that_fails() -> None:
    entry = {"BACKEND": f"{__name__}.ConfusedBackend"}
    (message,) = found_in({"BACKENDS": {"default": DUMMY, "sms": entry}})
    assert ids([message]) == ["E020"]
    assert "'sms'" in message.msg
    assert "ConfusedBackend" in str(message.hint)


@pytest.mark.parametrize(("timeout", "expected"), [(4, []), (5, ["W004"]), (600.0, ["W004"])])
def test_w004_a_timeout_that_the_job_does_not_outlive(timeout: float, expected: list[str]) -> None:
    entry = {"BACKEND": f"{__name__}.ConfusedBackend", "OPTIONS": {"timeout": timeout}}
    pushjobs = {"BACKENDS": {"default": DUMMY, "sms": entry}, "JOB_TIMEOUT": 5}
    assert ids(found_in(pushjobs)) == expected


def test_a_backend_is_not_asked_before_the_settings_have_their_types() -> None:
    entry = {"BACKEND": f"{__name__}.ConfusedBackend"}
    pushjobs = {"BACKENDS": {"default": DUMMY, "sms": entry}, "JOB_TIMEOUT": "5"}
    assert ids(found_in(pushjobs)) == ["E003"]


def test_e008_unknown_default() -> None:
    (message,) = found_in({"DEFAULT_BACKEND": "sms"})
    assert ids([message]) == ["E008"]
    assert message.hint == "Its aliases are: 'default'."


def test_e018_unknown_test_backend() -> None:
    (message,) = found_in({"TEST_BACKEND": "sandbocks"})
    assert ids([message]) == ["E018"]
    assert found_in({"TEST_BACKEND": "default"}) == []


@pytest.mark.parametrize(
    "entry", [{"tv": "default"}, {1: "default"}, {"ios": "apns"}, {"ios:app": ["default"]}]
)
def test_e019_devices_that_nothing_reaches(entry: dict[Any, Any]) -> None:
    assert ids(found_in({"DEVICE_BACKENDS": entry})) == ["E019"]
    assert found_in({"DEVICE_BACKENDS": {"ios": "default", "ios:app": "default"}}) == []


@pytest.mark.parametrize(
    "entry", [{"x": None}, {"x": {}}, {"x": ADDRESS | {"OPTION": {}}}, {"": ADDRESS}]
)
def test_e009_malformed_resolver(entry: dict[Any, Any]) -> None:
    assert ids(found_in({"RESOLVERS": {"address": ADDRESS} | entry})) == ["E009"]


@pytest.mark.parametrize(
    "entry",
    [
        {"RESOLVER": "nowhere.Resolver"},
        {"RESOLVER": DUMMY["BACKEND"]},
        ADDRESS | {"OPTIONS": {"x": 1}},
        {"RESOLVER": f"{__name__}.StubbornResolver"},
    ],
)
def test_e010_resolver_does_not_work(entry: Any) -> None:
    (message,) = found_in({"RESOLVERS": {"user": entry}})
    assert ids([message]) == ["E010"]
    assert "'user'" in message.msg


@pytest.mark.parametrize(
    "queues",
    [
        {"high": "pushjobs", "normal": "pushjobs"},
        {"high": "pushjobs", "normal": "pushjobs", "low": "pushjobs", "urgent": "pushjobs"},
    ],
)
def test_e011_priorities(queues: Mapping[str, str]) -> None:
    assert ids(found_in({"QUEUES": queues})) == ["E011"]


def test_e012_django_rq_is_not_installed() -> None:
    installed = [app for app in settings.INSTALLED_APPS if app != "django_rq"]
    assert ids(found(INSTALLED_APPS=installed)) == ["E012"]


@pytest.mark.parametrize("name", ["elsewhere", None, ["pushjobs"]])
def test_e013_queue_is_not_in_rq_queues(name: Any) -> None:
    queues = {"high": "pushjobs", "normal": "pushjobs", "low": name}
    assert ids(found_in({"QUEUES": queues})) == ["E013"]


def test_e013_and_e014_of_the_queue_for_callbacks() -> None:
    (message,) = found_in({"CALLBACK_QUEUE": "elsewhere"})
    assert ids([message]) == ["E013"]
    assert "CALLBACK_QUEUE" in message.msg
    assert ids(found_in({"CALLBACK_QUEUE": "default"})) == ["E014"]
    assert found_in({"CALLBACK_QUEUE": "pushjobs"}) == []


@pytest.mark.parametrize("rq_queues", [None, [], {}, {"pushjobs": None}])
def test_e013_rq_queues_is_wrong(rq_queues: Any) -> None:
    assert ids(found(RQ_QUEUES=rq_queues)) == ["E013"]


@pytest.mark.parametrize(
    "serializer",
    [None, "pickle", pickle, "rq.serializers.DefaultSerializer", "nowhere.Serializer", 5, str],
)
def test_e014_serializer_is_not_json(serializer: Any) -> None:
    queue = {"URL": "redis://localhost/0", "SERIALIZER": serializer}
    assert ids(found(RQ_QUEUES={"pushjobs": queue})) == ["E014"]


def test_e014_is_what_rq_does_by_default() -> None:
    assert ids(found(RQ_QUEUES={"pushjobs": {"URL": "redis://localhost/0"}})) == ["E014"]


@pytest.mark.parametrize("serializer", ["json", JSON, LineSerializer])
def test_any_json_serializer_is_right(serializer: Any) -> None:
    queue = {"URL": "redis://localhost/0", "SERIALIZER": serializer}
    assert found(RQ_QUEUES={"pushjobs": queue}) == []


def test_e015_eager_queue() -> None:
    queue = {"URL": "redis://localhost/0", "SERIALIZER": JSON, "ASYNC": False}
    assert ids(found(RQ_QUEUES={"pushjobs": queue})) == ["E015"]


@pytest.mark.parametrize(
    "allowed",
    [
        {"pushjobs": "shop.jobs.remind"},
        {"pushjobs": ["remind"]},
        {"pushjobs": ["shop.jobs."]},
        {"pushjobs": [5]},
        {"elsewhere": ["shop.jobs.remind"]},
        {"default": ["shop.jobs.remind"]},
        {None: []},
    ],
)
def test_e021_allowed_jobs(allowed: Any) -> None:
    assert ids(found_in({"ALLOWED_JOBS": allowed})) == ["E021"]


def test_jobs_of_the_site_may_be_allowed() -> None:
    assert found_in({"ALLOWED_JOBS": {"pushjobs": ["shop.jobs.remind"]}}) == []


def test_a_queue_is_reported_once_however_many_priorities_use_it() -> None:
    assert len(found(RQ_QUEUES={})) == 1


def test_e016_cap_below_base() -> None:
    assert ids(found_in({"RETRY_BASE": 10, "RETRY_CAP": 5})) == ["E016"]


def test_e017_naive_times() -> None:
    assert ids(found(USE_TZ=False)) == ["E017"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["W001", "W002"]),
        ({"transaction_mode": "immediate"}, ["W001"]),
        ({"init_command": "PRAGMA foreign_keys=1; pragma journal_mode = wal;"}, ["W002"]),
        ({"init_command": "PRAGMA journal_mode=delete"}, ["W001", "W002"]),
        ({"init_command": None, "transaction_mode": None}, ["W001", "W002"]),
        ({"init_command": "PRAGMA journal_mode=WAL", "transaction_mode": "EXCLUSIVE"}, []),
    ],
)
def test_w001_w002_fragile_sqlite(
    options: dict[str, Any], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection.settings_dict, "ENGINE", "django.db.backends.sqlite3")
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)
    messages = found()
    assert ids(messages) == expected
    assert all("transaction_mode" in str(message.hint) for message in messages)


@pytest.mark.parametrize(("debug", "expected"), [(False, ["W003"]), (True, [])])
def test_w003_insecure_destinations(debug: bool, expected: list[str]) -> None:
    assert ids(found(DEBUG=debug, PUSHJOBS={"INSECURE_DESTINATIONS": True})) == expected


def test_another_database_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "ENGINE", "django.db.backends.postgresql")
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", {})
    assert found() == []


@pytest.mark.parametrize("prefix", ["", "shop", "shop:eu-1.staging_2", "x" * 64])
def test_a_prefix_that_may_be(prefix: str) -> None:
    assert found_in({"REDIS_PREFIX": prefix}) == []


@pytest.mark.parametrize("prefix", ["{shop}", "a b", "shop*", "sh?p", "é", "shop\n", "x" * 65])
def test_e022_a_prefix_that_may_not(prefix: str) -> None:
    assert ids(found_in({"REDIS_PREFIX": prefix})) == ["E022"]


def test_e023_a_rule_that_is_none() -> None:
    assert ids(found_in({"LIMITS_WITHOUT_REDIS": "ajar"})) == ["E023"]
    assert found_in({"LIMITS_WITHOUT_REDIS": "closed"}) == []


def test_many_mistakes_are_reported_together() -> None:
    messages = found_in(
        {
            "BACKENDS": {"a": None, "b": {"BACKEND": "nowhere.B"}, "c": {"BACKEND": HTTP}},
            "RESOLVERS": {"x": 1},
            "QUEUES": {},
            "LEASE": -1,
            "JOB_TIMEOUT": "x",
            "LEASSE": 1,
        }
    )
    expected = ["E002", "E003", "E004", "E005", "E006", "E007", "E008", "E009", "E011"]
    assert sorted(ids(messages)) == expected
    assert all(message.hint for message in messages)
