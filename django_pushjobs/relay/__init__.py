"""What keeps the promise if the queue or a worker fails: recover, expire, enqueue again, prune."""

from .inheritance import inherit
from .loop import run
from .sweep import Sweep, looks, sweep

__all__ = ["Sweep", "inherit", "looks", "run", "sweep"]
