"""One process that pushes by our backend.

``python -m benchmarks.providers.ours webpush FOLDER COUNT CONCURRENCY`` prints what was pushed, the
seconds that took and those of CPU, as JSON.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import django
import gevent.pool
from django.conf import settings


def backend_for(kind: str, told: dict[str, Any]) -> Any:
    """Return the backend that pushes to the peer; Django is set up."""
    from django_pushjobs.backends import vapid
    from django_pushjobs.backends.apns import APNsBackend
    from django_pushjobs.backends.fcm import FCMBackend
    from django_pushjobs.backends.webpush import WebPushBackend

    if kind == "webpush":
        return WebPushBackend(
            alias="webpush",
            private_key=vapid.private_text(vapid.new_key()),
            subject="mailto:push@example.org",
            push_services=["127.0.0.1"],
            ca_file=told["ca_file"],
            timeout=60,
        )
    if kind == "apns":
        return APNsBackend(alias="apns", connections=4, timeout=60, **told["options"])
    return FCMBackend(
        alias="fcm",
        credentials=told["credentials"],
        url=f"https://127.0.0.1:{told['port']}",
        ca_file=told["ca_file"],
        timeout=60,
    )


def set_up() -> None:
    settings.configure(PUSHJOBS={"INSECURE_DESTINATIONS": True}, USE_TZ=True)
    django.setup()


def main(kind: str, folder: Path, count: int, concurrency: int) -> None:
    set_up()
    from django_pushjobs.backends import Message, Target

    told = json.loads((folder / "peer.json").read_text("utf-8"))
    backend, addresses = backend_for(kind, told), told["addresses"]
    pool = gevent.pool.Pool(concurrency)
    outcomes: Counter[str] = Counter()

    def push(n: int) -> None:
        message = Message(
            request_id=uuid.uuid4(), title="Your order", body=f"Number {n} is on its way.",
            data={"order": n}, priority="high",
        )  # fmt: skip
        address = addresses[n % len(addresses)]
        outcomes[backend.push(message, Target(delivery_id=uuid.uuid4(), address=address)).kind] += 1

    # Connections, tokens and the keys of the subscriptions, as in a worker that has run a while.
    pool.map(push, range(max(concurrency, len(addresses))))
    outcomes.clear()
    wall, cpu = time.monotonic(), time.process_time()
    pool.map(push, range(count))
    print(
        json.dumps(
            {
                "pushed": outcomes["ok"],
                "outcomes": outcomes,
                "seconds": time.monotonic() - wall,
                "cpu": time.process_time() - cpu,
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
