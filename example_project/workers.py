"""Which RQ workers are running; import this after ``django.setup()``."""

from __future__ import annotations

import socket
from collections.abc import Callable

import django_rq
from rq import Worker


def listening(queue: str) -> Callable[[], list[int]]:
    """Return a function that returns the process ids of this machine's workers on ``queue``."""
    rq_queue = django_rq.get_queue(queue)

    def pids() -> list[int]:
        workers = Worker.all(queue=rq_queue)
        return [w.pid for w in workers if w.pid and w.hostname == socket.gethostname()]

    return pids
