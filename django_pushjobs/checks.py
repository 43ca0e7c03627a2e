"""System checks: mistakes in the settings are found by ``manage.py check``, not at night.

docs/reference/checks.rst lists the ids. No check asks the database or Redis anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Set
from difflib import get_close_matches
from typing import Any, Final, get_origin, get_type_hints

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004
from django.db import connections, router
from django.utils.module_loading import import_string

from .backends import BasePushBackend, Policy, backends
from .backends.policy import ENTRY_KEYS
from .conf import Conf
from .exceptions import ConfigurationError
from .models import Platform, PushRequest
from .recipients import BaseResolver, resolver
from .states import Priority

TAG: Final = "django_pushjobs"

#: Least and greatest value of the numbers, where they differ from :data:`LEAST` and :data:`MOST`.
RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "RESULT_TTL": (0, 31_536_000),
    "FAILURE_TTL": (0, 31_536_000),
    "POLL_INTERVAL": (0, 86_400),
    "RATE_LIMIT": (0, 1_000_000_000),
    "RATE_WINDOW": (1, 86_400),
    "DAILY_QUOTA": (0, 1_000_000_000),
    "MAX_UNFINISHED": (0, 10_000_000),
    "TRUSTED_PROXIES": (0, 16),
    "MAX_WAIT": (0, 3_600),
    "MAX_LISTENERS": (0, 1_000_000),
    # The draft's readers count on a day.
    "IDEMPOTENCY_TTL": (86_400, 31_536_000),
    "RETRY_BASE": (0, 86_400),
    "RETRY_CAP": (0, 31_536_000),
    # Leases are renewed a few times in their length; shorter ones run out under load.
    "LEASE": (1, 86_400),
    "BULKHEAD": (0.01, 1),
    "RETENTION": (0, 315_360_000),
    "PART_SIZE": (1, 10_000),
    "FANOUT": (1, 1_000),
    "DEAD_WAVE_SHARE": (0.01, 1),
    "MAX_ATTEMPTS": (1, 1_000),
    "COMMIT_BATCH": (1, 10_000),
    "CALLBACK_CONCURRENCY": (1, 100),
    "CALLBACK_ROTATION": (0, 31_536_000),
    "CALLBACK_RETENTION": (3_600, 31_536_000),
}
LEAST: Final[Mapping[Any, float]] = {int: 1, float: 0.001}
MOST: Final = 31_536_000  # as seconds, a year

_TYPE_NAMES: Final[Mapping[Any, str]] = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "a string",
    Mapping: "a dict",
}

#: PushRequest.backend holds an alias.
_MAX_ALIAS: Final = 64

_SQLITE_HINT: Final = (
    "With several processes that write, SQLite needs this in the database's OPTIONS: "
    '{"transaction_mode": "IMMEDIATE", "timeout": 20, '
    '"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"}.'
)


def _error(number: int, message: str, hint: str | None = None) -> CheckMessage:
    return Error(message, hint=hint, id=f"django_pushjobs.E{number:03}")


def _warning(number: int, message: str, hint: str | None = None) -> CheckMessage:
    return Warning(message, hint=hint, id=f"django_pushjobs.W{number:03}")


@register(TAG)
def check_settings(
    app_configs: Iterable[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Check ``PUSHJOBS`` and what it points to."""
    given = getattr(settings, "PUSHJOBS", {})
    if not isinstance(given, dict):
        return [_error(1, "PUSHJOBS must be a dict.", hint="See docs/reference/settings.rst.")]
    wrong = dict(_wrong_values(given))
    defaults = Conf()
    values = {key: given.get(key, getattr(defaults, key)) for key in get_type_hints(Conf)}
    messages = [*_unknown_keys(given), *wrong.values()]
    if "BACKENDS" not in wrong:
        messages += _wrong_backends(values["BACKENDS"])
        if "DEFAULT_BACKEND" not in wrong:
            messages += _wrong_default(values["BACKENDS"], values["DEFAULT_BACKEND"])
        if "DEVICE_BACKENDS" not in wrong:
            messages += _wrong_device_backends(values["BACKENDS"], values["DEVICE_BACKENDS"])
        if "TEST_BACKEND" not in wrong:
            messages += _wrong_test_backend(values["BACKENDS"], values["TEST_BACKEND"])
    if "RESOLVERS" not in wrong:
        messages += _wrong_resolvers(values["RESOLVERS"])
    if "QUEUES" not in wrong:
        callback_queue = "" if "CALLBACK_QUEUE" in wrong else values["CALLBACK_QUEUE"]
        messages += _wrong_queues(values["QUEUES"], callback_queue)
    if not wrong.keys() & {"RETRY_BASE", "RETRY_CAP"}:
        messages += _wrong_waits(values["RETRY_BASE"], values["RETRY_CAP"])
    return messages


@register(TAG)
def check_project(
    app_configs: Iterable[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Check what we need of the rest of the project."""
    return [*_missing_apps(), *_naive_times(), *_fragile_sqlite(), *_insecure_destinations()]


def _unknown_keys(given: Mapping[Any, Any]) -> Iterator[CheckMessage]:
    known = list(get_type_hints(Conf))
    for key in given:
        if key not in known:
            close = get_close_matches(str(key).upper(), known, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Known are {', '.join(known)}."
            yield _error(2, f"PUSHJOBS has the unknown key {key!r}.", hint)


def _wrong_values(given: Mapping[Any, Any]) -> Iterator[tuple[str, CheckMessage]]:
    for key, annotation in get_type_hints(Conf).items():
        if key not in given:
            continue
        value, expected = given[key], get_origin(annotation) or annotation
        # True is an int to Python, and 5 is as good a float as 5.0.
        fits = isinstance(value, int | float) if expected is float else isinstance(value, expected)
        if not fits or (isinstance(value, bool) and expected is not bool):
            wanted = _TYPE_NAMES.get(expected, str(expected))
            found = type(value).__name__
            yield key, _error(3, f"PUSHJOBS[{key!r}] must be {wanted}, not {found}.")
        elif expected in LEAST:
            least, most = RANGES.get(key, (LEAST[expected], MOST))
            if not least <= value <= most:  # NaN is not, either
                limits = f"between {least} and {most}"
                yield key, _error(4, f"PUSHJOBS[{key!r}] must be {limits}, not {value!r}.")


def _wrong_entries(
    number: int,
    setting: str,
    entries: Mapping[Any, Any],
    class_key: str,
    keys: Set[str],
) -> Iterator[tuple[Any, CheckMessage]]:
    """Yield the entries of BACKENDS or RESOLVERS that do not have the form of one."""
    for name, entry in entries.items():
        where = f"PUSHJOBS[{setting!r}][{name!r}]"
        hint = f'An entry looks like {{"{class_key}": "dotted.path.Class", "OPTIONS": {{…}}}}.'
        if not isinstance(name, str) or not 0 < len(name) <= _MAX_ALIAS:
            problem = f"must have a name of 1 to {_MAX_ALIAS} characters"
        elif not isinstance(entry, dict):
            problem = "must be a dict"
        elif not isinstance(entry.get(class_key), str):
            problem = f"needs the dotted path of a class as {class_key!r}"
        elif unknown := entry.keys() - keys:
            problem = f"has unknown keys: {', '.join(sorted(map(repr, unknown)))}"
        elif not isinstance(entry.get("OPTIONS", {}), dict):
            problem = "needs a dict as 'OPTIONS'"
        else:
            continue
        yield name, _error(number, f"{where} {problem}.", hint)


def _not_a_class(path: str, base: type) -> str | None:
    """Return in a sentence why ``path`` is not that of a subclass of ``base``, or None."""
    try:
        found = import_string(path)
    except Exception as error:  # the module may fail in any way it likes
        return f"{path!r} cannot be imported: {error}"
    if not (isinstance(found, type) and issubclass(found, base)):
        return f"{path!r} is not a {base.__name__}"
    return None


def _wrong_backends(entries: Mapping[Any, Any]) -> Iterator[CheckMessage]:
    malformed = dict(_wrong_entries(5, "BACKENDS", entries, "BACKEND", ENTRY_KEYS))
    yield from malformed.values()
    for alias in (alias for alias in entries if alias not in malformed):
        if problem := _not_a_class(entries[alias]["BACKEND"], BasePushBackend):
            yield _error(
                6,
                f"PUSHJOBS['BACKENDS'][{alias!r}]: {problem}.",
                hint="Check the path, and that the packages the backend needs are installed.",
            )
            continue
        try:
            backends.create(alias).close()
            Policy.read(entries[alias])
        except Exception as error:
            problem = _sentence(f"push backend {alias!r}", error)
            yield _error(7, problem, hint="See 'OPTIONS' in docs/howto/backends.rst.")


def _wrong_default(entries: Mapping[Any, Any], alias: str) -> Iterator[CheckMessage]:
    if alias not in entries:
        known = ", ".join(repr(name) for name in entries) or "none"
        yield _error(
            8,
            f"PUSHJOBS['DEFAULT_BACKEND'] is {alias!r}, which is not in PUSHJOBS['BACKENDS'].",
            hint=f"Known are: {known}.",
        )


def _wrong_test_backend(entries: Mapping[Any, Any], alias: str) -> Iterator[CheckMessage]:
    if alias and alias not in entries:
        known = ", ".join(repr(name) for name in entries) or "none"
        yield _error(
            18,
            f"PUSHJOBS['TEST_BACKEND'] is {alias!r}, which is not in PUSHJOBS['BACKENDS'].",
            hint=f"Known are: {known}.",
        )


def _wrong_device_backends(
    entries: Mapping[Any, Any], aliases: Mapping[Any, Any]
) -> Iterator[CheckMessage]:
    for key, alias in aliases.items():
        where = f"PUSHJOBS['DEVICE_BACKENDS'][{key!r}]"
        if not isinstance(key, str) or key.partition(":")[0] not in Platform.values:
            yield _error(
                19,
                f"{where} is for no platform that is known.",
                hint=f"Platforms are {', '.join(Platform.values)}; an app may follow: 'ios:app'.",
            )
        elif _hashable(alias) not in entries:
            known = ", ".join(repr(name) for name in entries) or "none"
            yield _error(
                19,
                f"{where} is {alias!r}, which is not in PUSHJOBS['BACKENDS'].",
                hint=f"Known are: {known}.",
            )


def _wrong_resolvers(entries: Mapping[Any, Any]) -> Iterator[CheckMessage]:
    malformed = dict(_wrong_entries(9, "RESOLVERS", entries, "RESOLVER", {"RESOLVER", "OPTIONS"}))
    yield from malformed.values()
    for kind in (kind for kind in entries if kind not in malformed):
        if problem := _not_a_class(entries[kind]["RESOLVER"], BaseResolver):
            yield _error(10, f"PUSHJOBS['RESOLVERS'][{kind!r}]: {problem}.")
            continue
        try:
            resolver(kind)
        except Exception as error:
            yield _error(10, _sentence(f"recipient resolver {kind!r}", error))


def _wrong_queues(queues: Mapping[Any, Any], callback_queue: str) -> Iterator[CheckMessage]:
    known = ", ".join(repr(priority) for priority in Priority.values)
    if missing := set(Priority.values) - queues.keys():
        names = ", ".join(sorted(map(repr, missing)))
        yield _error(11, f"PUSHJOBS['QUEUES'] has no queue for {names}.", f"Needed are {known}.")
    if unknown := queues.keys() - set(Priority.values):
        names = ", ".join(sorted(map(repr, unknown)))
        yield _error(11, f"PUSHJOBS['QUEUES'] has unknown priorities: {names}.", f"Known: {known}.")
    rq_queues = getattr(settings, "RQ_QUEUES", None)
    if not isinstance(rq_queues, dict):
        yield _error(13, "RQ_QUEUES must be a dict.", hint="django-rq reads its queues from it.")
        return
    # Each queue once, whatever the number of priorities that use it, in a stable order.
    ours = dict.fromkeys(map(_hashable, queues.values()), "QUEUES")
    if callback_queue:
        ours.setdefault(callback_queue, "CALLBACK_QUEUE")
    for queue, setting in ours.items():
        if not isinstance(queue, str) or not isinstance(rq_queues.get(queue), dict):
            yield _error(
                13,
                f"PUSHJOBS[{setting!r}] uses the queue {queue!r}, which is not in RQ_QUEUES.",
                hint=f"RQ_QUEUES has: {', '.join(map(repr, rq_queues)) or 'none'}.",
            )
        else:
            yield from _wrong_queue(queue, rq_queues[queue])


def _hashable(value: Any) -> Any:
    return value if isinstance(value, str) else repr(value)


def _wrong_queue(name: str, entry: Mapping[str, Any]) -> Iterator[CheckMessage]:
    if not _writes_json(entry.get("SERIALIZER")):
        yield _error(
            14,
            f"RQ_QUEUES[{name!r}] does not use a JSON serializer.",
            hint=(
                "Our jobs are JSON, so that nothing on the queue is unpickled. Add "
                '"SERIALIZER": "rq.serializers.JSONSerializer", and keep jobs that need pickle '
                "on another queue."
            ),
        )
    if not entry.get("ASYNC", True):
        yield _error(
            15,
            f"RQ_QUEUES[{name!r}] has ASYNC set to False.",
            hint="It would push while the third party waits for its answer: remove it.",
        )


def _writes_json(serializer: Any) -> bool:
    """Return True if what ``serializer`` writes is JSON, whatever it is called."""
    if serializer == "json":  # RQ's alias
        return True
    try:
        if isinstance(serializer, str):
            serializer = import_string(serializer)
        return bool(json.loads(serializer.dumps(["job"])) == ["job"])
    except Exception:  # no serializer, or one that writes something else
        return False


def _wrong_waits(base: float, cap: float) -> Iterator[CheckMessage]:
    if cap < base:
        yield _error(
            16,
            "PUSHJOBS['RETRY_CAP'] is below PUSHJOBS['RETRY_BASE'].",
            hint="The waits between attempts grow from RETRY_BASE up to RETRY_CAP.",
        )


def _missing_apps() -> Iterator[CheckMessage]:
    if not apps.is_installed("django_rq"):
        yield _error(
            12,
            "'django_rq' is not in INSTALLED_APPS.",
            hint="Push requests reach the workers through django-rq: add 'django_rq'.",
        )


def _naive_times() -> Iterator[CheckMessage]:
    if not settings.USE_TZ:
        yield _error(
            17,
            "USE_TZ is False.",
            hint="Push requests are scheduled and expire by aware times: set USE_TZ = True.",
        )


def _fragile_sqlite() -> Iterator[CheckMessage]:
    alias = router.db_for_write(PushRequest)
    database = connections.settings.get(alias, {})
    if database.get("ENGINE") != "django.db.backends.sqlite3":
        return
    options = database.get("OPTIONS", {})
    if not re.search(r"journal_mode\s*=\s*'?wal\b", options.get("init_command") or "", re.I):
        yield _warning(1, f"The SQLite database {alias!r} is not in WAL mode.", _SQLITE_HINT)
    if str(options.get("transaction_mode") or "").upper() not in {"IMMEDIATE", "EXCLUSIVE"}:
        yield _warning(
            2, f"Transactions of the SQLite database {alias!r} are not IMMEDIATE.", _SQLITE_HINT
        )


def _insecure_destinations() -> Iterator[CheckMessage]:
    given = getattr(settings, "PUSHJOBS", {})
    if isinstance(given, dict) and given.get("INSECURE_DESTINATIONS") and not settings.DEBUG:
        yield _warning(
            3,
            "PUSHJOBS['INSECURE_DESTINATIONS'] is on although DEBUG is off.",
            hint="Third parties can make this machine call itself: it is for development only.",
        )


def _sentence(what: str, error: Exception) -> str:
    # A ConfigurationError names what it is about; nothing else does.
    text = str(error) if isinstance(error, ConfigurationError) else f"{what}: {error!r}"
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
