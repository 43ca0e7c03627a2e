"""A backend that blocks its process, for tests of what becomes of that."""

from tests.live.settings import *  # noqa: F403
from tests.live.settings import PUSHJOBS

PUSHJOBS = PUSHJOBS | {
    "BACKENDS": PUSHJOBS["BACKENDS"]
    | {"blocking": {"BACKEND": "tests.support.blocking.BlockingBackend"}},
}
