"""The wheel: what is in it, and that it works where only it is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from email.message import Message
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

from django_pushjobs import __version__

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "django_pushjobs"

SETTINGS = """
SECRET_KEY = "tests"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": "db.sqlite3",
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
RQ_QUEUES = {
    "pushjobs": {"URL": "redis://localhost:1", "SERIALIZER": "rq.serializers.JSONSerializer"},
}
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django_rq",
    "django_pushjobs",
]
"""
API = """
INSTALLED_APPS += ["rest_framework", "django_filters", "drf_spectacular", "drf_spectacular_sidecar"]
ROOT_URLCONF = "urls"
"""
URLS = """
from django.urls import include, path
urlpatterns = [path("api/v1/", include("django_pushjobs.api.urls"))]
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build from a copy, so that nothing is left in the tree and nothing old gets in."""
    source = tmp_path_factory.mktemp("source")
    for name in (
        "setup.py",
        "pyproject.toml",
        "MANIFEST.in",
        "README.rst",
        "CHANGELOG.rst",
        "LICENSE",
    ):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / PACKAGE, source / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist", cwd=source)
    (built,) = (source / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel in it; what it depends on is borrowed from this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    interpreter = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", str(interpreter), "--disable-pip-version-check")
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel), cwd=folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    # Only a path: what is installed there as editable, this package too, is not found by it.
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    (folder / "base.py").write_text(SETTINGS)
    (folder / "with_api.py").write_text(SETTINGS + API)
    (folder / "urls.py").write_text(URLS)
    return interpreter


def run(*command: str, cwd: Path, **environ: str) -> str:
    inherited = {
        k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "DJANGO_SETTINGS_MODULE")
    }
    done = subprocess.run(
        command, cwd=cwd, env=inherited | environ, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def metadata(wheel: Path) -> Message:
    with ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def test_every_file_of_the_package_is_in_the_wheel(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith(f"{PACKAGE}/")}
    files = {
        str(path.relative_to(ROOT))
        for path in (ROOT / PACKAGE).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == files


@pytest.mark.parametrize(
    "pattern",
    [
        "py.typed",
        "migrations/0001_*.py",
        "templates/**/*.html",
        "static/**/*.css",
        "locale/**/*.mo",
    ],
)
def test_there_is_something_of_every_kind(pattern: str) -> None:
    assert list((ROOT / PACKAGE).glob(pattern))


def test_the_wheel_holds_the_package_only(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        folders = {name.partition("/")[0] for name in archive.namelist()}
        assert any(name.endswith("/licenses/LICENSE") for name in archive.namelist())
    assert folders == {PACKAGE, f"{PACKAGE}-{__version__}.dist-info"}


def test_the_metadata_names_license_and_extras(wheel: Path) -> None:
    said = metadata(wheel)
    assert said["Version"] == __version__
    assert "MIT" in (said["License-Expression"], said["License"])
    assert {"api", "postgres", "embedded", "dev"} <= set(said.get_all("Provides-Extra") or ())


def test_links_of_the_metadata_lead_somewhere_from_anywhere(wheel: Path) -> None:
    said = metadata(wheel)
    description = str(said.get_payload())
    # The README, as a whole, with links to pages of the repository.
    assert description.count("\n") == (ROOT / "README.rst").read_text("utf-8").count("\n")
    assert "/blob/main/docs/quickstart.rst>`_" in description
    targets = re.findall(r"<([^<>`]+)>`_", description)
    assert targets
    targets += [url.partition(", ")[2] for url in said.get_all("Project-URL") or ()]
    for target in targets:
        assert target.startswith("https://"), target
    files = [target.partition("/blob/main/")[2] for target in targets if "/blob/main/" in target]
    assert files
    assert all((ROOT / name).is_file() for name in files), files


def test_what_uses_private_names_is_bounded(wheel: Path) -> None:
    """See docs/explanation/versioning.rst."""
    needed = {
        requirement.name: requirement.specifier
        for requirement in map(Requirement, metadata(wheel).get_all("Requires-Dist") or ())
        if requirement.marker is None
    }
    for name in ("rq", "geventhttpclient", "django-rq"):
        assert {"<", ">="} == {bound.operator for bound in needed[name]}, name


def test_the_installed_package_imports(python: Path) -> None:
    where = run(
        str(python), "-c", f"import {PACKAGE}; print({PACKAGE}.__file__)", cwd=python.parents[1]
    )
    assert Path(where.strip()).is_relative_to(python.parents[1])


@pytest.mark.parametrize("settings", ["base", "with_api"])
def test_the_installed_package_passes_the_checks(python: Path, settings: str) -> None:
    folder = python.parents[1]
    said = run(
        *(str(python), "-W", "error", "-m", "django", "check", "--fail-level", "WARNING"),
        cwd=folder,
        DJANGO_SETTINGS_MODULE=settings,
        PYTHONPATH=str(folder),
    )
    assert "no issues" in said


def test_the_migrations_are_complete(python: Path) -> None:
    folder = python.parents[1]
    said = run(
        *(str(python), "-m", "django", "makemigrations", PACKAGE, "--check", "--dry-run"),
        cwd=folder,
        DJANGO_SETTINGS_MODULE="base",
        PYTHONPATH=str(folder),
    )
    assert "No changes" in said
