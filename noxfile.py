"""Every pair of Python and Django that is supported.

``nox`` runs the lint and, of the matrix, what this machine has a Python for;
``nox -s "tests(3.13, Django 6.1)"`` runs one pair.
"""

import nox

PYTHONS = ("3.11", "3.12", "3.13")
DJANGOS = ("5.2", "6.0", "6.1")

nox.options.sessions = ["lint", "tests"]
nox.options.error_on_missing_interpreters = False

#: Django 6 asks for Python 3.12.
PAIRS = [
    nox.param(python, django, id=f"{python}, Django {django}")
    for python in PYTHONS
    for django in DJANGOS
    if (python, django[0]) != ("3.11", "6")
]


@nox.session
@nox.parametrize(("python", "django"), PAIRS)
def tests(session: nox.Session, django: str) -> None:
    """Unit and integration tests; more arguments of pytest after ``--``."""
    session.install("--editable", ".[dev]", f"Django~={django}.0")
    session.run(
        "python", "-m", "pytest", *(session.posargs or ("-q", "tests/unit", "tests/integration"))
    )


@nox.session
def lint(session: nox.Session) -> None:
    """Style and types, as ``make lint`` checks them."""
    session.install("--editable", ".[dev]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
