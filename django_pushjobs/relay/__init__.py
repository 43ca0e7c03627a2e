"""What keeps the promise if the queue or a worker fails: recover, expire, enqueue again, prune."""

from .loop import run
from .sweep import Sweep, looks, sweep

__all__ = ["Sweep", "looks", "run", "sweep"]
