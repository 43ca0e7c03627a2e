"""Push requests of this package: stored and enqueued, as a project would do it."""

from __future__ import annotations

import django

django.setup()

from django_pushjobs.services import submit_many  # noqa: E402
from django_pushjobs.submission.submissions import Submission  # noqa: E402

BATCH = 1_000


def send_many(job: str, indexes: range) -> None:
    for start in range(0, len(indexes), BATCH):
        submit_many(
            [
                Submission(recipients=[f"token-{index}"], title="Hello", body="A push message")
                for index in indexes[start : start + BATCH]
            ]
        )


def send(job: str, index: int) -> None:
    send_many(job, range(index, index + 1))
