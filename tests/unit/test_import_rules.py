"""The house rules: who may import whom, and which module owns which third-party package.

The tables in :mod:`tests.support.house` and below are the rules; docs/explanation/design.rst says
why. A room without an entry, and a package without an owner, fail too: decide where it belongs, and
write it there.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from fnmatch import fnmatchcase
from statistics import median

import pytest

from tests.support import house
from tests.support.house import FLOORS, MAY_IMPORT_LATE, PACKAGE, ROOT, imports, modules, room

MODULES = modules()


#: Rooms that load before Django and gevent: nothing but the standard library.
STDLIB_ONLY = ["__init__", "worker.supervisor"]

#: The commands that start and show the worker.
COMMANDS = ["management.commands.rqgeventworker", "management.commands.pushjobs_workers"]

#: Where RQ is at home: its door, and the worker with its commands.
RQ = ["broker", "broker.*", "worker", "worker.*", *COMMANDS]

#: Third-party package -> the modules that may import it. Django is everybody's.
OWNERS = {
    "rq": RQ,
    "django_rq": RQ,
    "redis": RQ,
    "gevent": ["worker.*", "transport.*", "runtime.turns"],
    "greenlet": ["worker.*"],
    "setproctitle": ["worker.*", *COMMANDS],
    "pythonjsonlogger": ["worker.logs"],
    "geventhttpclient": ["transport.*"],
    "cryptography": [
        *["models.encryption", "backends.subscriptions", "backends.vapid", "backends.webpush"],
    ],
    "google": ["backends.fcm_account"],
    "http_ece": ["backends.webpush"],
    "py_vapid": ["backends.vapid"],
    "AntiSSRF": ["transport.destinations"],
    "h2": ["transport.http2", "transport.http2_protocol"],
    "hpack": ["transport.http2", "transport.http2_protocol", "transport.multiplexing"],
    "hyperframe": ["transport.http2_protocol"],
    "jwt": ["backends.apns_token"],
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
    "hyperframe",
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
    *["backends.apns", "backends.apns_token"],
    *["transport.http2", "transport.http2_protocol", "transport.multiplexing"],
]


def test_every_room_lies_on_a_floor_and_no_other_does() -> None:
    assert {name for names in FLOORS.values() for name in names} == {
        name.partition(".")[0] for name in house.rooms()
    }


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_its_room_may(module: str) -> None:
    allowed = house.may_import(module)
    wrong = [
        f"{module}:{found.line} imports {found.below}"
        for found in imports(module)
        if found.is_ours and room(found.below) not in allowed
    ]
    assert not wrong, f"{module} may import {sorted(allowed)} only; " + "; ".join(wrong)


def test_no_arrow_leads_up_and_none_in_a_circle(capsys: pytest.CaptureFixture[str]) -> None:
    arrows = house.arrows()
    modules = {
        (module, found.below)
        for module in MODULES
        for found in imports(module)
        # A package and its own modules know each other.
        if found.is_ours and not module.startswith(f"{found.below}.")
    }
    up = sorted(
        f"{source} -> {target}"
        for source, target in arrows
        if house.floor(target) > house.floor(source)
    )
    circles = [*house.circles(arrows), *house.circles(modules)]
    with capsys.disabled():
        print(f"\n{house.picture()}\n{len(up)} arrows up, {len(circles)} circles")
    assert not up
    assert not circles


@pytest.mark.parametrize("module", MODULES)
def test_nothing_of_ours_is_imported_inside_a_function(module: str) -> None:
    late = [found for found in imports(module) if found.is_ours and found.late]
    assert not late or module in MAY_IMPORT_LATE, late


def test_whoever_silences_bandit_says_of_which_test_and_why() -> None:
    for module, path in MODULES.items():
        lines = path.read_text("utf-8").splitlines()
        for number, line in enumerate(lines):
            if "nosec" not in line:
                continue
            assert re.search(r"# nosec B\d{3}$", line), f"{module}:{number + 1}"
            above = [text for text in reversed(lines[:number]) if "nosec" not in text][:2]
            assert any("# " in text for text in above), f"{module}:{number + 1} has no reason"


def test_modules_are_short() -> None:
    lines = {
        module: len(path.read_text("utf-8").splitlines())
        for module, path in MODULES.items()
        if not module.startswith("migrations.")
    }
    assert not {module: count for module, count in lines.items() if count > 400}
    assert median(lines.values()) <= 110


@pytest.mark.parametrize("module", MODULES)
def test_a_third_party_package_is_imported_by_its_owner_only(module: str) -> None:
    wrong = []
    for found in imports(module):
        name = found.target
        if found.is_ours or name.partition(".")[0] in sys.stdlib_module_names:
            continue
        if room(module) in STDLIB_ONLY:
            wrong.append(f"{module}:{found.line} imports {name}: standard library only there")
        elif name.partition(".")[0] != "django" or room(module) == "client":
            owners = _owners(name)
            if not any(fnmatchcase(module, owner) for owner in owners):
                belongs = f"it belongs to {owners}" if owners else "give it an owner in OWNERS"
                wrong.append(f"{module}:{found.line} imports {name}; {belongs}")
    assert not wrong, "; ".join(wrong)


def _owners(name: str) -> list[str]:
    for package, owners in OWNERS.items():
        if name == package or name.startswith(f"{package}."):
            return owners
    return []


def test_nothing_on_the_surface_moves_a_row_by_itself() -> None:
    """The guarded UPDATE is for services and below; admin, API and commands call services."""
    wrong = [
        f"{module}:{node.lineno}"
        for module, path in MODULES.items()
        if room(module) in FLOORS["surface"]
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
