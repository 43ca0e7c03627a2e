"""What users may set, read or run stands in the documentation, and what stands there exists."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from django.core.management import get_commands
from django.utils.module_loading import import_string
from docutils.core import publish_doctree
from docutils.nodes import Node
from docutils.parsers.rst import Directive, directives
from docutils.utils import Reporter

from django_pushjobs.backends import OutcomeClass
from django_pushjobs.backends.apns import APNsBackend
from django_pushjobs.backends.fcm import FCMBackend
from django_pushjobs.backends.http import HTTPBackend
from django_pushjobs.backends.webpush import WebPushBackend
from django_pushjobs.checks import RANGES
from django_pushjobs.conf import Conf
from django_pushjobs.management.commands.rqgeventworker import Command
from django_pushjobs.states import DeliveryStatus, Status
from django_pushjobs.worker.supervisor.exitcodes import ExitCode

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.rst"))
ALL_PAGES = [
    *PAGES,
    *(ROOT / f"{name}.rst" for name in ("README", "CHANGELOG", "CONTRIBUTING", "SECURITY")),
]
#: What every command of Django has.
COMMON_OPTIONS = {
    *("--help", "--version", "--verbosity", "--settings", "--pythonpath", "--traceback"),
    *("--no-color", "--force-color", "--skip-checks"),
}


class AnyOptions(dict[str, Any]):
    """What Sphinx knows of the options of its directives, docutils need not know."""

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, name: str) -> Any:
        return directives.unchanged


class SphinxOnly(Directive):
    """Stands for what only Sphinx knows. Where a repository is hosted, it is left out."""

    optional_arguments = 1
    option_spec = AnyOptions()
    has_content = True

    def run(self) -> list[Node]:
        return []


for name in ("autoclass", "autodata", "autofunction", "automodule", "currentmodule", "toctree"):
    directives.register_directive(name, SphinxOnly)


def page(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def section(text: str, title: str) -> str:
    """Return the part of ``text`` below ``title``, up to the next title."""
    body = re.split(rf"^{re.escape(title)}\n=+\n", text, flags=re.MULTILINE)[1]
    return re.split(r"^.+\n=+\n\n", body, maxsplit=1, flags=re.MULTILINE)[0]


def first_column(text: str) -> set[str]:
    """Return the literals that begin the rows of tables, or are the terms of a list."""
    return set(re.findall(r"^``([^`]+)``(?:  |$)", text, flags=re.MULTILINE))


def test_every_setting_is_documented_and_no_other() -> None:
    assert first_column(page("reference/settings.rst")) == {field.name for field in fields(Conf)}


@pytest.mark.parametrize("name", [field.name for field in fields(Conf)])
def test_the_default_of_a_setting_is_the_documented_one(name: str) -> None:
    default: Any = getattr(Conf(), name)
    entry = re.search(rf"^``{name}``\n    (.+)", page("reference/settings.rst"), re.MULTILINE)
    assert entry is not None
    shown = re.search(r"Default: ``(.+)``", entry[1])
    assert shown is not None
    assert shown[1].replace('"', "'") == repr(default)


def test_a_range_belongs_to_a_setting_that_is_a_number() -> None:
    types = get_type_hints(Conf)
    assert all(types[key] in (int, float, int | None) for key in RANGES)


def test_every_check_is_documented_and_no_other() -> None:
    sources = (path.read_text("utf-8") for path in (ROOT / "django_pushjobs").rglob("*.py"))
    used = {
        found for source in sources for found in re.findall(r'"(django_pushjobs\.[EW]\d+)"', source)
    }
    assert first_column(page("reference/checks.rst")) == used


def test_every_check_has_a_test() -> None:
    tests = (ROOT / "tests/unit/test_checks.py").read_text("utf-8")
    for check in first_column(page("reference/checks.rst")):
        assert f'"{check.removeprefix("django_pushjobs.")}"' in tests


def test_every_status_is_documented_and_no_other() -> None:
    text = page("reference/statuses.rst")
    assert first_column(section(text, "A push request")) == set(Status.values)
    assert first_column(section(text, "An address of it")) == set(DeliveryStatus.values)


def test_every_outcome_is_documented() -> None:
    text = page("howto/backends.rst")
    own = first_column(section(text, "A backend of your own"))
    assert own == {kind.name for kind in OutcomeClass}


#: Backend -> where its options are: a page, and the section if the page is about others as well.
OPTIONS = {
    HTTPBackend: ("howto/backends.rst", "An HTTP gateway"),
    FCMBackend: ("howto/backends.rst", "Firebase Cloud Messaging"),
    WebPushBackend: ("howto/backends.rst", "Web Push"),
    APNsBackend: ("howto/apns.rst", ""),
}


@pytest.mark.parametrize(("backend", "place"), OPTIONS.items())
def test_every_option_of_a_backend_is_documented(backend: type, place: tuple[str, str]) -> None:
    options = set(get_type_hints(backend.__init__)) - {"alias", "return"}
    text, title = page(place[0]), place[1]
    if title:
        assert first_column(section(text, title)) == options
    else:
        # One of several tables: the others are about something else.
        assert options <= first_column(text)


def test_every_command_is_documented() -> None:
    text = page("reference/commands.rst")
    ours = [name for name, app in get_commands().items() if app == "django_pushjobs"]
    assert ours
    for name in ours:
        assert re.search(rf"^{name}\n=+\n", text, re.MULTILINE), name


def test_every_option_of_the_worker_is_documented_and_no_other() -> None:
    parser = Command().create_parser("manage.py", "rqgeventworker")
    options = {option for action in parser._actions for option in action.option_strings}
    ours = {option for option in options - COMMON_OPTIONS if option.startswith("--")}
    assert first_column(section(page("reference/commands.rst"), "rqgeventworker")) == ours


def test_every_exit_code_is_documented() -> None:
    for code in ExitCode:
        assert f"``{code.name}``" in page("howto/deployment.rst")


def test_the_readme_knows_every_status() -> None:
    assert first_column((ROOT / "README.rst").read_text("utf-8")) == set(Status.values)


@pytest.mark.parametrize("path", ALL_PAGES, ids=str)
def test_a_page_parses_without_a_warning(path: Path) -> None:
    strict = {"halt_level": Reporter.WARNING_LEVEL, "report_level": Reporter.SEVERE_LEVEL}
    publish_doctree(path.read_text("utf-8"), str(path), settings_overrides=strict)


@pytest.mark.parametrize("path", ALL_PAGES, ids=str)
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    for target in re.findall(
        r"<([^<>`\s]+\.(?:rst|png|svg))(?:#[\w-]+)?>`_", path.read_text("utf-8")
    ):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", ALL_PAGES, ids=str)
def test_what_an_example_imports_exists(path: Path) -> None:
    imports = re.findall(
        r"^ +from (django_pushjobs[\w.]*) import (?:\(([^)]+)\)|(.+))$",
        path.read_text("utf-8"),
        flags=re.MULTILINE,
    )
    for module, many, one in imports:
        for name in re.findall(r"\w+", re.sub(r"#.*", "", many or one)):
            import_string(f"{module}.{name}")


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_every_page_can_be_found_from_the_index(path: Path) -> None:
    name = path.relative_to(DOCS).as_posix()
    assert name == "index.rst" or f"<{name}>`_" in page("index.rst")


def test_the_navigation_has_the_pages_of_the_index_in_the_same_order() -> None:
    index = page("index.rst")
    linked = re.findall(r"<([\w/-]+)\.rst>`_", index)
    assert re.findall(r"^   ([\w/-]+)$", index, re.MULTILINE) == linked


def test_a_word_stands_in_the_glossary_once() -> None:
    words = re.findall(r"^(\w[\w -]*)\n    \S", page("reference/glossary.rst"), re.MULTILINE)
    assert len(words) > 30
    assert len(words) == len(set(words))


def test_the_supported_versions_are_the_same_everywhere() -> None:
    source = (ROOT / "noxfile.py").read_text("utf-8")
    pythons, djangos = (
        re.findall(r"\d+\.\d+", source[source.index(f"{name} = ") :].partition("\n")[0])
        for name in ("PYTHONS", "DJANGOS")
    )
    setup = (ROOT / "setup.py").read_text("utf-8")
    assert re.findall(r'"Programming Language :: Python :: (\d\.\d+)"', setup) == pythons
    assert re.findall(r'"Framework :: Django :: (\d\.\d+)"', setup) == djangos
    versioning = page("explanation/versioning.rst")
    assert re.findall(r"^(\d\.\d+)  ", versioning, re.MULTILINE) == pythons
    assert re.findall(r"Django (\d\.\d+)", versioning) == djangos
    readme = (ROOT / "README.rst").read_text("utf-8")
    assert f"Python {pythons[0]} to {pythons[-1]}" in readme
    assert f"Django {', '.join(djangos[:-1])} or {djangos[-1]}" in readme


def test_an_upper_bound_is_explained() -> None:
    setup = (ROOT / "setup.py").read_text("utf-8")
    for name, bound in re.findall(r'"([\w-]+)>=[\d.]+,<([\d.]+)"', setup):
        assert re.search(
            rf"^``{name}`` +below {re.escape(bound)} ",
            page("explanation/versioning.rst"),
            re.MULTILINE,
        ), name


def test_the_repository_has_one_address() -> None:
    files = [ROOT / "setup.py", DOCS / "conf.py"]
    found = {re.findall(r'^REPOSITORY = "(.+)"', f.read_text("utf-8"), re.M)[0] for f in files}
    assert len(found) == 1
