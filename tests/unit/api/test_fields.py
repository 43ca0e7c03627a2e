"""A field of the API is the same wherever it is written down."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

from django_pushjobs.api.serializers.push_requests import PushRequestSerializer
from django_pushjobs.api.serializers.submissions import NewBatchItem, NewPushRequest
from django_pushjobs.submission.submissions import Submission

PAGE = Path(__file__).resolve().parents[3] / "docs/reference/api.rst"


def section(title: str) -> str:
    """Return the part of the page below ``title``, up to the next title."""
    _, body = re.split(rf"^{title}\n=+\n", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    return re.split(r"^.+\n=+\n\n", body, maxsplit=1, flags=re.MULTILINE)[0]


def test_a_call_may_set_every_field_of_a_submission() -> None:
    of_the_call = {"request_id", "traceparent"}
    expected = {field.name for field in fields(Submission)} - of_the_call
    assert set(NewBatchItem().fields) == expected
    assert set(NewPushRequest().fields) == expected | {"validate_only"}


def test_every_member_of_a_submission_is_documented_and_no_other() -> None:
    rows = re.findall(r"^``(\w+)``  +\w", section("Submit"), flags=re.MULTILINE)
    assert rows == list(NewBatchItem().fields)


def test_every_member_of_an_answer_is_documented_and_no_other() -> None:
    shown = section("Look").partition(".. code-block:: json\n")[2]
    example, _ = json.JSONDecoder().raw_decode(shown.strip())
    assert list(example) == list(PushRequestSerializer().fields)
