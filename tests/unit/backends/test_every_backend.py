"""A backend of this package is in every list that it has to be in; the failure names the list."""

from __future__ import annotations

import ast
import inspect
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

from django_pushjobs import backends
from django_pushjobs.backends import BasePushBackend
from tests.unit import test_documentation, test_public_names
from tests.unit.backends import test_answers

CONTRACTS = Path(__file__).resolve().parents[2] / "integration/backends/test_contract.py"


def found() -> list[type[BasePushBackend]]:
    """Return every backend that one of our modules defines."""
    modules = [
        import_module(f"{backends.__name__}.{m.name}") for m in iter_modules(backends.__path__)
    ]
    return [
        member
        for module in modules
        for member in vars(module).values()
        if inspect.isclass(member)
        and issubclass(member, BasePushBackend)
        and member is not BasePushBackend
        and member.__module__ == module.__name__
    ]


BACKENDS = found()
#: Those that push to a provider, and not to a terminal or to memory.
PROVIDERS = [backend for backend in BACKENDS if "answer_rows" in vars(backend)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_its_path_is_promised(backend: type[BasePushBackend]) -> None:
    path = f"{backend.__module__.rpartition('.')[2]}.{backend.__name__}"
    assert path in test_public_names.BACKENDS


@pytest.mark.parametrize("backend", BACKENDS)
def test_it_keeps_the_contract(backend: type[BasePushBackend]) -> None:
    tree = ast.parse(CONTRACTS.read_text("utf-8"))
    tested = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    assert f"Test{backend.__name__}" in tested, f"add it to {CONTRACTS}"


@pytest.mark.parametrize("backend", PROVIDERS)
def test_its_answers_are_expected(backend: type[BasePushBackend]) -> None:
    assert backend in test_answers.PROVIDERS.values()


@pytest.mark.parametrize("backend", PROVIDERS)
def test_its_options_are_documented(backend: type[BasePushBackend]) -> None:
    assert backend in test_documentation.OPTIONS
