"""What it costs to submit, beside a bare ``Model.objects.create``.

``python -m benchmarks.pipeline.submitting`` measures in the database and the Redis of its
environment, and prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from statistics import median

#: Requests that are made one by one, and together.
SINGLES, MANY = 500, 20_000
ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitting:
    """What submitting costs.

    :param create_ms: milliseconds of our CPU for a bare ``create()`` of the same row.
    :param submit_ms: the same for ``services.submit``, including the enqueueing in Redis.
    :param rows: requests per second that ``services.submit_many`` stores and enqueues, 1,000 at a
        time.
    """

    create_ms: float
    submit_ms: float
    rows: float

    @property
    def beyond_ms(self) -> float:
        """Milliseconds of CPU that ``submit`` takes in addition to the bare row."""
        return self.submit_ms - self.create_ms


def measure(environment: Mapping[str, str]) -> Submitting:
    """Measure in a process of its own, with the database and the Redis of ``environment``."""
    done = subprocess.run(
        [sys.executable, "-m", __name__],
        env=dict(environment),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return Submitting(**json.loads(done.stdout))


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")
    import django

    django.setup()
    from django.utils import timezone

    from django_pushjobs.models import PushRequest
    from django_pushjobs.services import submit, submit_many
    from django_pushjobs.submission.submissions import Submission

    def fields(number: int) -> dict[str, object]:
        return {"recipients": [f"token-{number}"], "title": "Hello", "data": {"n": number}}

    def create(number: int) -> None:
        PushRequest.objects.create(
            **fields(number), backend="gateway", total=1, queued_at=timezone.now()
        )

    thousand = [Submission(**fields(number)) for number in range(1_000)]
    submit_many(thousand)
    creates, submits, rates = [], [], []
    for _ in range(ROUNDS):
        creates.append(_cpu_ms(create))
        submits.append(_cpu_ms(lambda number: submit(**fields(number))))
        began = time.perf_counter()
        for _ in range(MANY // len(thousand)):
            submit_many(thousand)
        rates.append(MANY / (time.perf_counter() - began))
    figures = Submitting(create_ms=median(creates), submit_ms=median(submits), rows=median(rates))
    print(json.dumps(asdict(figures)))


def _cpu_ms(act: Callable[[int], object]) -> float:
    """Return the milliseconds of our CPU that one call takes."""
    began = time.process_time()
    for number in range(SINGLES):
        act(number)
    return 1_000 * (time.process_time() - began) / SINGLES


if __name__ == "__main__":
    main()
