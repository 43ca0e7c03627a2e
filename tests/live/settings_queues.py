"""The settings of live tests, with more queues, and handlers of exceptions."""

from tests.live.settings import *  # noqa: F403
from tests.live.settings import RQ_QUEUES

RQ_QUEUES = RQ_QUEUES | {
    "first": RQ_QUEUES["default"],
    "second": RQ_QUEUES["default"],
    "reversed": RQ_QUEUES["default"] | {"SERIALIZER": "tests.support.citizens.ReversedSerializer"},
}
RQ_EXCEPTION_HANDLERS = [
    "tests.support.citizens.first_handler",
    "tests.support.citizens.second_handler",
]
