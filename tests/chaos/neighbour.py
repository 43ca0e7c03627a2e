"""Another site with the same Redis: ``python -m tests.chaos.neighbour``.

Arguments: the URL of a receiver of callbacks, how many push requests, how many per second, and how
many seconds they may take to end.
It has a database, queues, workers and a gateway of its own, which the environment names. It waits
until the file ``GO`` is in the folder ``CHAOS_FOLDER``, submits, waits until everything has ended,
and prints what does not add up as a list in JSON.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import uuid
from pathlib import Path
from urllib.parse import urljoin

import django

from tests.support.stack import Stack
from tests.support.waiting import eventually

from .audit import audit

GO = "go"


def problems(receiver: str, count: int, rate: float, patience: float) -> list[str]:
    # These need the settings.
    from .audience import Audience
    from .producer import Producer
    from .rows import Rows
    from .trial import all_ended, patiently

    folder = Path(os.environ["CHAOS_FOLDER"])
    stack = Stack(folder, dict(os.environ))
    stack.gateway_url = urljoin(os.environ["GATEWAY_URL"], "/").rstrip("/")
    audience = Audience(receiver)
    print("ready", flush=True)
    eventually((folder / GO).exists, timeout=120, what="the trial has begun")
    producer = Producer(f"neighbour-{uuid.uuid4().hex[:8]}", count, rate, client=audience.client)
    producer.run()
    rows = Rows(producer.reference)
    ended = patiently(lambda: all_ended(rows, patience))
    eventually(lambda: stack.gateway_stats()["in_flight"] == 0, timeout=patience)
    taken, known = stack.gateway_ids(), rows.deliveries()
    verdict = audit(
        producer.accepted,
        ended,
        {known[key]: number for key, number in taken.items() if key in known},
        strangers=len(taken.keys() - known.keys()),
        repeats=True,
    )
    return [*verdict.problems(), *audience.problems(ended, patience)]


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    django.setup()
    address, *numbers = sys.argv[1:]
    found = problems(address, int(numbers[0]), *map(float, numbers[1:]))
    print(f"problems: {json.dumps(found)}", flush=True)
