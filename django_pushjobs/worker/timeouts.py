"""Job timeouts that interrupt the right greenlet."""

from __future__ import annotations

from typing import Any

import gevent
from rq.timeouts import BaseDeathPenalty


class GeventDeathPenalty(BaseDeathPenalty):
    """Raises in the greenlet that entered it, once its time is up.

    RQ's own penalty is SIGALRM: there is one for the whole process, and it hits whichever
    greenlet happens to be running. Like any gevent timeout, this one strikes where the job next
    waits; a job that only computes is for the arbiter to notice.
    """

    _timer: gevent.Timeout | None = None

    def setup_death_penalty(self) -> None:
        """Start the clock; a timeout of 0 or less, RQ's -1 among them, means none."""
        if self._timeout is not None and self._timeout > 0:
            error: Any = self._exception(
                f"Task exceeded maximum timeout value ({self._timeout} seconds)"
            )
            self._timer = gevent.Timeout.start_new(self._timeout, error)

    def cancel_death_penalty(self) -> None:
        """Stop the clock."""
        if self._timer is not None:
            self._timer.close()
            self._timer = None
