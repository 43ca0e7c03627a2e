"""Callbacks on a queue of their own, to receivers on this machine."""

from example_project.settings import RQ_QUEUES
from tests.live.settings import *  # noqa: F403
from tests.live.settings import PUSHJOBS

RQ_QUEUES = RQ_QUEUES | {"callbacks": RQ_QUEUES["pushjobs"]}
PUSHJOBS = PUSHJOBS | {"INSECURE_DESTINATIONS": True, "CALLBACK_QUEUE": "callbacks"}
