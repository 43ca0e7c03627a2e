"""The house rules: who may import whom, and which module owns which third-party package.

The tables below are the rules; docs/explanation/design.rst says why. A module that is in no layer,
and a package that has no owner, fail too: decide where it belongs, and write it here.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

PACKAGE = "django_pushjobs"
ROOT = Path(__file__).resolve().parents[2] / PACKAGE

#: Layer -> its modules (patterns below the package). The first layer that matches counts.
LAYERS = {
    "root": ["__init__"],
    # What anybody may ask of the process they run in.
    "process": ["concurrency", "processes"],
    "pure": ["exceptions", "states", "retries", "conf", "identifiers", "encryption"],
    "sentry": ["sentry"],
    "data": [
        *["signals", "inserts", "statements", "querysets", "models", "models.*"],
        *["migrations", "migrations.*"],
    ],
    "edges": [
        *["backends", "backends.*", "queues", "limits", "recipients", "submissions"],
        *["destinations", "callbacks.signing"],
    ],
    "actions": [
        *["services", "delivery", "writeback", "relay", "jobs", "changes", "admission"],
        *["breaker", "claims", "settlements", "parts", "readers", "writers", "throttle"],
        *["idempotency", "events", "listeners"],
        *["callbacks", "callbacks.*", "devices", "devices.*", "monitoring", "monitoring.*"],
    ],
    "surface": [
        *["api", "api.*", "admin", "admin.*", "management", "management.*"],
        *["checks", "apps", "testing"],
    ],
    "supervisor": [
        "worker",
        *[f"worker.{m}" for m in ("arbiter", "heartbeat", "notify", "options", "exitcodes")],
        "worker.launcher",
    ],
    "child": ["worker.*"],
    "client": ["client", "client.*"],
}  # fmt: skip

#: Layer -> the layers it may import, besides itself.
MAY_IMPORT = {
    "root": [],
    "process": [],
    "pure": [],
    "sentry": ["root", "pure"],
    "data": ["root", "pure"],
    "edges": ["root", "process", "pure"],
    "actions": ["root", "process", "pure", "data", "edges", "sentry"],
    "surface": ["root", "pure", "data", "edges", "sentry", "actions", "supervisor", "child"],
    "supervisor": ["root"],
    "child": ["root", "process", "supervisor", "sentry"],
    "client": [],
}

#: Single modules that a layer may not import although it may import their layer.
EXCEPT = {"surface": ["queues", "writeback", "delivery", "jobs"]}

#: Layers that load before Django and gevent: nothing but the standard library.
STDLIB_ONLY = ["root", "supervisor"]

#: The commands that start and show the worker.
COMMANDS = ["management.commands.rqgeventworker", "management.commands.pushjobs_workers"]

#: Where RQ is at home: our doorbell, the worker with its command, and whoever counts.
RQ = ["queues", "worker.*", *COMMANDS, "monitoring", "monitoring.*"]

#: Third-party package -> the modules that may import it. Django is everybody's.
OWNERS = {
    "rq": RQ,
    "django_rq": RQ,
    # For the errors of a Redis that is down.
    "redis": [
        *[*RQ, "services", "relay", "admission", "throttle", "callbacks.bell", "events"],
        *["listeners", "api.problems", "api.waiting"],
    ],
    # The HTTP client waits in gevent's hub, so whoever uses it may use gevent's timeouts.
    "gevent": ["worker.*", "backends.*", "callbacks.*"],
    "greenlet": ["worker.*"],
    "setproctitle": ["worker.*", *COMMANDS],
    "pythonjsonlogger": ["worker.logs"],
    "geventhttpclient": ["backends.*", "callbacks.*"],
    "cryptography": ["encryption", "backends.subscriptions", "backends.vapid", "backends.webpush"],
    "google": ["backends.service_account"],
    "http_ece": ["backends.webpush"],
    "py_vapid": ["backends.vapid"],
    "AntiSSRF": ["destinations"],
    "h2": ["backends.http2"],
    "hpack": ["backends.http2", "backends.multiplexing"],
    "jwt": ["backends.provider_token"],
    "sentry_sdk": ["sentry"],
    "rest_framework": ["api", "api.*"],
    "django_filters": ["api", "api.*"],
    "drf_spectacular": ["api", "api.*"],
    "http_sf": ["api", "api.*"],
    "httpx": ["client.*"],
    "rest_framework_api_key.crypto": ["models", "models.*"],
}

#: What the base install comes without.
EXTRAS = [
    "httpx",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "h2",
    "hpack",
    "http_sf",
    "jwt",
    "psycopg",
    "google",
    "http_ece",
    "py_vapid",
]

#: Modules that need one of them; nothing imports these unless it is asked for.
NEED_EXTRAS = [
    *["api", "api.*", "admin", "admin.*", "client", "client.*"],
    *["backends.apns", "backends.http2", "backends.multiplexing", "backends.provider_token"],
]


def modules() -> dict[str, Path]:
    """Return every module of the package by its name below the package."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
        found[name] = path
    return found


MODULES = modules()


def layer(module: str) -> str | None:
    for name, patterns in LAYERS.items():
        if any(fnmatchcase(module, pattern) for pattern in patterns):
            return name
    return None


def imports(module: str) -> Iterator[tuple[int, str]]:
    """Yield line and absolute name of everything ``module`` imports when it runs."""
    path = MODULES[module]
    own = PACKAGE if module == "__init__" else f"{PACKAGE}.{module}"
    base = own.split(".") if path.name == "__init__.py" else own.split(".")[:-1]
    pending: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending += node.orelse
            continue
        pending += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = base[: len(base) - node.level + 1] if node.level else []
            source = ".".join([*start, *filter(None, [node.module])])
            for alias in node.names:
                name = f"{source}.{alias.name}"
                yield node.lineno, name if _below(name) in MODULES else source


def _below(name: str) -> str:
    return "__init__" if name == PACKAGE else name.removeprefix(f"{PACKAGE}.")


def _is_ours(name: str) -> bool:
    return name == PACKAGE or name.startswith(f"{PACKAGE}.")


def _is_stdlib(name: str) -> bool:
    return name.partition(".")[0] in sys.stdlib_module_names


def test_every_module_has_a_layer() -> None:
    homeless = [module for module in MODULES if layer(module) is None]
    assert not homeless, f"say in LAYERS where they belong: {homeless}"


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_its_layer_may(module: str) -> None:
    own = layer(module)
    assert own is not None
    allowed = {own, *MAY_IMPORT[own]}
    wrong = []
    for line, name in imports(module):
        target = _below(name)
        if not _is_ours(name):
            continue
        if layer(target) not in allowed or target in EXCEPT.get(own, []):
            wrong.append(f"{module}:{line} ({own}) imports {target} ({layer(target)})")
    assert not wrong, f"{own} may import {sorted(allowed)} only; " + "; ".join(wrong)


@pytest.mark.parametrize("module", MODULES)
def test_a_third_party_package_is_imported_by_its_owner_only(module: str) -> None:
    own = layer(module)
    wrong = []
    for line, name in imports(module):
        if _is_ours(name) or _is_stdlib(name):
            continue
        if own in STDLIB_ONLY:
            wrong.append(f"{module}:{line} imports {name}; {own} has the standard library only")
        elif name.partition(".")[0] != "django" or own == "client":
            owners = _owners(name)
            if not any(fnmatchcase(module, owner) for owner in owners):
                belongs = f"it belongs to {owners}" if owners else "give it an owner in OWNERS"
                wrong.append(f"{module}:{line} imports {name}; {belongs}")
    assert not wrong, "; ".join(wrong)


def _owners(name: str) -> list[str]:
    for package, owners in OWNERS.items():
        if name == package or name.startswith(f"{package}."):
            return owners
    return []


def test_nothing_on_the_surface_moves_a_row_by_itself() -> None:
    """The guarded UPDATE is for the actions; admin, API and commands call services."""
    wrong = [
        f"{module}:{node.lineno}"
        for module, path in MODULES.items()
        if layer(module) == "surface"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "transition"
    ]
    assert not wrong, f"call a service instead of transition(): {wrong}"


WITHOUT_EXTRAS = """
import importlib, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"{{name}} is not installed", name=name)

sys.meta_path.insert(0, Blocker())

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="tests",
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django_rq", "{package}"],
    DATABASES={{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}},
    RQ_QUEUES={{"pushjobs": {{"HOST": "localhost", "PORT": 1, "DB": 0}}}},
)
django.setup()
for name in {modules!r}:
    importlib.import_module(name)
"""


def test_the_base_install_imports_without_the_extras() -> None:
    names = [
        f"{PACKAGE}.{module}"
        for module in MODULES
        if module != "__init__" and not any(fnmatchcase(module, p) for p in NEED_EXTRAS)
    ]
    script = WITHOUT_EXTRAS.format(blocked=EXTRAS, package=PACKAGE, modules=names)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=ROOT.parent,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_the_client_of_third_parties_needs_no_django() -> None:
    script = WITHOUT_EXTRAS.partition("import django\n")[0].format(
        blocked=["django", "redis", "rq"]
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{script}\nimport {PACKAGE}.client"],
        cwd=ROOT.parent,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
