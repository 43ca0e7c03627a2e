"""The example project with a second queue that is not ours."""

from tests.live.settings import *  # noqa: F403
from tests.live.settings import RQ_QUEUES

RQ_QUEUES = RQ_QUEUES | {"other": RQ_QUEUES["default"]}
