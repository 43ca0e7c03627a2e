"""The settings of the example project under the harness; all times are seconds."""

import os

from example_project.settings import *  # noqa: F403
from example_project.settings import PUSHJOBS

PUSHJOBS = PUSHJOBS | {
    "RELAY_INTERVAL": float(os.environ.get("CHAOS_RELAY_INTERVAL", "1")),
    "LOST_JOB_AFTER": float(os.environ.get("CHAOS_LOST_JOB_AFTER", "5")),
    # An outage of the gateway takes seconds here.
    "RETRY_BASE": 0.5,
    "RETRY_CAP": 5.0,
    "MAX_ATTEMPTS": 8,
}
PUSHJOBS["BACKENDS"]["gateway"]["OPTIONS"]["timeout"] = 3.0
