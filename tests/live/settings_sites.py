"""The settings of live tests with callbacks, and with limits of every kind."""

import os

from tests.live.settings_callbacks import *  # noqa: F403
from tests.live.settings_callbacks import PUSHJOBS

PUSHJOBS = PUSHJOBS | {
    "REDIS_PREFIX": os.environ.get("TEST_REDIS_PREFIX", ""),
    "RATE_LIMIT": 1_000,
    "DAILY_QUOTA": 1_000,
    "MAX_UNFINISHED": 1_000,
}
PUSHJOBS["BACKENDS"]["gateway"] |= {"RATE": 1_000, "CONCURRENCY": 100}
