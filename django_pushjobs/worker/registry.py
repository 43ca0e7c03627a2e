"""Which workers RQ knows, and whether they are alive."""

from __future__ import annotations

import os
import socket
from datetime import timedelta

from redis import Redis
from rq.utils import now
from rq.worker import BaseWorker

#: A worker says more often than that that it is alive.
SILENT_AFTER = timedelta(seconds=90)


def alive(connection: Redis, name: str) -> list[str]:
    """Return the names of living workers that belong to the arbiter called ``name``.

    RQ remembers a worker that was killed for minutes. One of this host is alive if its process
    is; one of another host if it was heard of lately.
    """
    return [
        worker.name
        for worker in BaseWorker.all(connection=connection)
        if worker.name.startswith(f"{name}.") and _is_alive(worker)
    ]


def _is_alive(worker: BaseWorker) -> bool:
    if worker.hostname == socket.gethostname() and worker.pid:
        try:
            os.kill(worker.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return True
    return worker.last_heartbeat is not None and now() - worker.last_heartbeat < SILENT_AFTER
