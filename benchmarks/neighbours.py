"""``python -m benchmarks.neighbours``: what one client can do to the pushes of another.

One client submits a push to each backend five times a second, and so does a second one, which puts
into its requests whatever it can think of: options, headers, recipients, addresses that get every
answer that the providers have. Nothing may be paused, and every push of the first one has to be
accepted, at most a second later than without such a neighbour.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from tests.support.answer_cases import CASES

from .mischief import Mischief
from .results import percentile
from .verdicts.stage import DATABASES, ONE, alias, stage

#: Seconds between two submissions of a client.
EVERY = 0.2
#: Seconds until everything of the first client has ended.
PATIENCE = 60.0


class Client:
    """A client of the API, in this process."""

    def __init__(self, name: str) -> None:
        from tests.support.third_party import ThirdParty

        self.party = ThirdParty(name)
        self.answers: Counter[int] = Counter()

    def submit(self, body: dict[str, Any]) -> None:
        self.answers[self.party.post(body=body).status_code] += 1

    def rows(self) -> Any:
        from django_pushjobs.models import PushRequest

        return PushRequest.objects.filter(client=self.party.client)

    def seconds(self) -> list[float]:
        """Return how long each of its pushes took, once all have ended."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.rows().filter(finished_at=None).exists():
            time.sleep(0.1)
        times = self.rows().values_list("created_at", "finished_at")
        return [PATIENCE if end is None else (end - begin).total_seconds() for begin, end in times]


def run(client: Client, neighbour: Client | None, seconds: float, plan: Plan) -> set[str]:
    """Let both submit for so long; return what was paused meanwhile."""
    from django.utils import timezone

    from django_pushjobs.models import Pause

    paused = set[str]()
    number, began = 0, time.monotonic()
    while time.monotonic() < began + seconds:
        for backend in plan.backends:
            client.submit(plan.good(backend, number))
            if neighbour is not None:
                neighbour.submit(plan.mischief[backend].body())
        standing = Pause.objects.filter(since__lte=timezone.now())
        if neighbour is not None:
            # What pauses only its own pushes is its own affair.
            standing = standing.exclude(client_id=neighbour.party.client.pk)
        paused |= {f"{pause}: {pause.error_code}" for pause in standing}
        number += 1
        time.sleep(max(0.0, began + number * EVERY - time.monotonic()))
    return paused


class Plan:
    """What the two submit."""

    def __init__(self, providers: Any, seed: int) -> None:
        self.providers = providers
        # Of each backend, one that no address alone decides about, for all addresses.
        self.cases = {c.backend: c for c in reversed(CASES) if not c.is_of_all}
        self.backends = {name: alias(case, ONE) for name, case in self.cases.items()}
        self.mischief = {
            name: Mischief(name, given, providers, seed) for name, given in self.backends.items()
        }

    def good(self, backend: str, n: int) -> dict[str, Any]:
        address = self.providers.address(self.cases[backend], n, is_good=True)
        return {"backend": self.backends[backend], "recipients": [address], "title": "Hello"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.neighbours", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--goal", type=float, default=1.0, help="seconds that a push may take longer"
    )
    parser.add_argument("--database", choices=DATABASES, default="postgresql")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pushjobs-neighbours-") as name:
        cases = list({c.backend: c for c in reversed(CASES) if not c.is_of_all}.values())
        with stage(Path(name), cases, given.database) as providers:
            from django.conf import settings

            settings.ALLOWED_HOSTS = ["testserver"]
            warnings.filterwarnings("ignore", "No directory at", UserWarning)
            plan = Plan(providers, given.seed)
            alone, beside, neighbour = Client("alone"), Client("beside"), Client("neighbour")
            run(alone, None, given.seconds / 4, plan)
            quiet = alone.seconds()
            paused = run(beside, neighbour, given.seconds, plan)
            loud = beside.seconds()
            statuses = Counter(beside.rows().values_list("status", flat=True))
            others = Counter(neighbour.rows().values_list("status", flat=True))
    base = percentile(quiet, 0.99)
    late = [s for s in loud if s > base + given.goal]
    is_well = not paused and not late and set(statuses) == {"succeeded"}
    print(f"the neighbour: {dict(neighbour.answers)} answered, ended as {dict(others)}")
    for who, took in (("alone", quiet), ("beside it", loud)):
        print(
            f"{who}: {len(took):,} pushes, p50 {percentile(took, 0.5) * 1_000:.0f} ms, "
            f"p99 {percentile(took, 0.99) * 1_000:.0f} ms, the slowest {max(took):.2f} s"
        )
    print(f"ended as {dict(statuses)}; {len(late)} more than {given.goal:.0f} s late")
    print(f"paused: {', '.join(sorted(paused)) or 'nothing'}")
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
