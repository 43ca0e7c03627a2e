"""The German catalog: complete, compiled, and with the same placeholders."""

from __future__ import annotations

import ast
import re
from gettext import GNUTranslations
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "django_pushjobs"
CATALOG = ROOT / "locale" / "de" / "LC_MESSAGES"

FUNCTIONS = {"_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy"}
TAG = re.compile(r"""\{%\s*translate\s+(?:"([^"]+)"|'([^']+)')""")


def used_in_python(path: Path) -> set[str]:
    return {
        argument.value
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if node.func.id in FUNCTIONS
        for argument in node.args[:1]
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }


def used_in_template(path: Path) -> set[str]:
    return {double or single for double, single in TAG.findall(path.read_text("utf-8"))}


@pytest.fixture(scope="module")
def catalog() -> dict[str, str]:
    """Message id -> translation; of a plural, the singular stands for both."""
    with (CATALOG / "django.mo").open("rb") as file:
        entries = GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    return {key if isinstance(key, str) else key[0]: text for key, text in entries.items()}


def test_every_string_is_translated(catalog: dict[str, str]) -> None:
    used = set[str]()
    for path in ROOT.rglob("*.py"):
        used |= used_in_python(path)
    for path in ROOT.rglob("*.html"):
        used |= used_in_template(path)
    assert len(used) > 50
    missing = sorted(used - catalog.keys())
    assert not missing, "run makemessages and compilemessages in django_pushjobs/"


def test_nothing_is_left_to_do() -> None:
    source = (CATALOG / "django.po").read_text("utf-8")
    assert "fuzzy" not in source
    assert not re.findall(r'^msgstr(?:\[\d\])? ""$(?!\n")', source, re.MULTILINE)


def test_translations_have_the_same_placeholders(catalog: dict[str, str]) -> None:
    placeholders = re.compile(r"%\(\w+\)[ds]")
    wrong = [
        key
        for key, translated in catalog.items()
        if key and set(placeholders.findall(key)) != set(placeholders.findall(translated))
    ]
    assert not wrong
