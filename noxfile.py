"""Every pair of Python and Django that is supported.

``nox`` runs the lint, builds the documentation, and tests those pairs that this machine has a
Python for; ``nox -s "tests(3.13, Django 6.1)"`` tests one pair.
"""

import nox

PYTHONS = ("3.11", "3.12", "3.13")
DJANGOS = ("5.2", "6.0", "6.1")

nox.options.sessions = ["lint", "docs", "tests"]
nox.options.error_on_missing_interpreters = False

#: Django 6 needs Python 3.12.
PAIRS = [
    nox.param(python, django, id=f"{python}, Django {django}")
    for python in PYTHONS
    for django in DJANGOS
    if (python, django[0]) != ("3.11", "6")
]


@nox.session
@nox.parametrize(("python", "django"), PAIRS)
def tests(session: nox.Session, django: str) -> None:
    """Unit and integration tests; further arguments for pytest go after ``--``."""
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
    session.run("codespell")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation as HTML, as ``make docs`` builds it."""
    session.install("--editable", ".[dev]")
    options = ("-q", "--fresh-env", "--fail-on-warning", "--keep-going")
    session.run("python", "-m", "sphinx", *options, "docs", "build/docs")
