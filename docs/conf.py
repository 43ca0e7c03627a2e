"""How Sphinx builds the documentation: ``make docs``. Nothing is fetched from anywhere.

The pages link to each other as files (``<../reference/settings.rst>``), so that they can be read
wherever the repository is hosted; for HTML, :func:`link_pages` turns these links into links between
pages. What the pages say of the code comes from its docstrings, with the settings of the example
project.
"""

from __future__ import annotations

import os
import posixpath
import sys
from enum import Enum
from pathlib import Path
from typing import Any

import django
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")
django.setup()

from django.db.models import Field, Model  # noqa: E402

import django_pushjobs  # noqa: E402

logger = logging.getLogger(__name__)

project = "django-pushjobs"
version = release = django_pushjobs.__version__
#: Where the files beside ``docs`` are, such as the changes; setup.py says the same.
REPOSITORY = "https://github.com/django-pushjobs/django-pushjobs"

extensions = ["sphinx.ext.autodoc"]
html_theme = "furo"
html_title = f"{project} {release}"
html_copy_source = False
# What stands after "::" is for a shell, or a drawing.
highlight_language = "none"

autodoc_default_options = {
    "member-order": "bysource",
    "exclude-members": "DoesNotExist,MultipleObjectsReturned,__new__",
}
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
maximum_signature_line_length = 88

# Examples are cut short here and there, which their lexers do not like.
suppress_warnings = ["misc.highlighting_failure"]

# Whatever a docstring refers to must be on one of the pages; exempt are the names of others, the
# exceptions that Django makes for each model, and constants.
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(collections|datetime|django|uuid)\..*"),
    ("py:exc", r"\w+\.DoesNotExist"),
    ("py:data", r"([\w.]+\.)?[A-Z_]+"),
    # What only the API passes to a service.
    ("py:class", r"django_pushjobs\.limits\..*"),
]


def link_pages(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Turn links to files into links to what is made of them."""
    for node in doctree.findall(nodes.reference):
        path, _, anchor = node.get("refuri", "").partition("#")
        if node.get("internal") or not path or ":" in path:
            continue
        file = posixpath.normpath(posixpath.join(posixpath.dirname(docname), path))
        page = file.removesuffix(".rst")
        if page in app.env.found_docs:
            if anchor and f"#{anchor}" not in anchors(app, page):
                logger.warning("%s has no section %r", file, anchor, location=node)
            uri = app.builder.get_relative_uri(docname, page)
            node["refuri"] = f"{uri}#{anchor}" if anchor else uri
            node["internal"] = True
        elif file.startswith("../") and (DOCS / file).exists():
            node["refuri"] = f"{REPOSITORY}/blob/main/{file.removeprefix('../')}"
        else:
            logger.warning("there is no file %r", file, location=node)


def anchors(app: Sphinx, page: str) -> set[str]:
    """Return the anchors of the sections of a page."""
    return {entry["anchorname"] for entry in app.env.tocs[page].findall(nodes.reference)}


def describe_columns(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Add to the docstring of a model its columns, and to that of an enumeration its values."""
    if not isinstance(obj, type):
        return
    if issubclass(obj, Model):
        lines += ["", "Columns:", ""]
        lines += [f"* {_column(field)}" for field in obj._meta.concrete_fields]
        lines.append("")
    elif issubclass(obj, Enum):
        values = ", ".join(f"``{member.name}`` (``{member.value}``)" for member in obj)
        lines += ["", f"Values: {values}", ""]


def _column(field: Field[Any, Any]) -> str:
    target = f" to {field.related_model.__name__}" if field.is_relation else ""
    text = f"``{field.attname}``: {type(field).__name__}{target}"
    if field.null:
        text += ", may be null"
    return f"{text}. {field.help_text}".rstrip()


def tidy_signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str
) -> tuple[str, str] | None:
    """Leave out what nobody calls, and write defaults that come from a factory as ``...``."""
    if isinstance(obj, type) and issubclass(obj, Model | Enum):
        return "", ""
    return signature and (signature.replace("<factory>", "..."), returns)


def setup(app: Sphinx) -> None:
    app.connect("doctree-resolved", link_pages)
    app.connect("autodoc-process-docstring", describe_columns)
    app.connect("autodoc-process-signature", tidy_signature)
