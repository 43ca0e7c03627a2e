"""A worker's child that is killed at a random point, again and again.

Run with ``python -m gevent.monkey tests/support/killing.py QUEUES KILLS LONGEST``. Each life is
forked from here, as the arbiter does it, but without its waiting time between two deaths.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from posix import fork, waitpid

import django

django.setup()

import gevent  # noqa: E402

from django_pushjobs.worker import siblings  # noqa: E402
from django_pushjobs.worker.child import come_to_rest, make_worker  # noqa: E402
from django_pushjobs.worker.supervisor.options import WorkerOptions  # noqa: E402


def main(queues: str, kills: int, longest: float) -> None:
    options = WorkerOptions(queues=tuple(queues.split(",")), concurrency=20, name="killed")
    fallen = None
    for number in range(kills):
        come_to_rest()
        name = f"killed.0.{number}"
        read, write = os.pipe()
        pid = fork()
        if pid == 0:
            live(name, options, fallen, write)
        os.close(write)
        os.read(read, 1)  # it is about to take jobs
        os.close(read)
        time.sleep(random.uniform(0, longest))
        os.kill(pid, signal.SIGKILL)
        waitpid(pid, 0)
        fallen = name
    come_to_rest()
    siblings.recover(make_worker("undertaker", options), str(fallen))


def live(name: str, options: WorkerOptions, fallen: str | None, ready: int) -> None:
    try:
        gevent.reinit()
        random.seed()
        worker = make_worker(name, options)
        if fallen is not None:
            siblings.recover(worker, fallen)
        worker.on_ready = lambda: os.write(ready, b".") and None
        worker.work(logging_level="ERROR")
    finally:
        os._exit(1)


main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
