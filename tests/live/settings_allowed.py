"""The example project with a job of its own on our queue."""

from tests.live.settings import *  # noqa: F403
from tests.live.settings import PUSHJOBS

PUSHJOBS = PUSHJOBS | {
    "ALLOWED_JOBS": {
        "pushjobs": ["tests.support.citizens.note", "tests.support.citizens.on_failure"]
    }
}
