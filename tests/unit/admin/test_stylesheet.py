"""The style sheet of the admin has every class that the pages use, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from django.contrib import admin

import django_pushjobs
from django_pushjobs.admin.badges import Tone

ROOT = Path(django_pushjobs.__file__).parent
CLASS = re.compile(r"pushjobs-[a-z]+(?:-[a-z]+)*")
#: Looks like the neutral badge.
PLAIN = {f"pushjobs-{Tone.QUIET}"}


def test_every_class_is_styled_and_used() -> None:
    sources = [*(ROOT / "admin").glob("*.py"), *(ROOT / "templates/admin").rglob("*.html")]
    used = {name for path in sources for name in CLASS.findall(path.read_text("utf-8"))}
    used |= {f"pushjobs-{tone}" for tone in Tone} - PLAIN
    styled = set(CLASS.findall((ROOT / "static/django_pushjobs/admin.css").read_text("utf-8")))
    assert used == styled


def test_every_page_has_the_style_sheet() -> None:
    ours = [a for m, a in admin.site._registry.items() if m._meta.app_label == "django_pushjobs"]
    assert len(ours) == 6
    for model_admin in ours:
        assert "django_pushjobs/admin.css" in str(model_admin.media), model_admin
