"""What keeps the promise if the queue or a worker fails: enqueue again, recover, expire, prune."""

from .loop import Sweep, looks, run, sweep

__all__ = ["Sweep", "looks", "run", "sweep"]
