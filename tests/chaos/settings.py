"""The settings of the example project under the harness; all times are seconds."""

import os

import dj_database_url

from example_project.settings import *  # noqa: F403
from example_project.settings import DATABASES, PUSHJOBS, RQ_QUEUES

#: Our queue; sites that share a Redis need a name each.
QUEUE = os.environ.get("CHAOS_QUEUE", "pushjobs")
RQ_QUEUES[QUEUE] = RQ_QUEUES["pushjobs"]
PUSHJOBS = PUSHJOBS | {
    "QUEUES": dict.fromkeys(("high", "normal", "low"), QUEUE),
    "RELAY_INTERVAL": float(os.environ.get("CHAOS_RELAY_INTERVAL", "1")),
    "LOST_JOB_AFTER": float(os.environ.get("CHAOS_LOST_JOB_AFTER", "5")),
    # Half of the gateway's answers are errors for seconds here, not for hours.
    "RETRY_BASE": 0.5,
    "PART_SIZE": int(os.environ.get("CHAOS_PART_SIZE", "1000")),
    "MAX_RECIPIENTS": 20_000,
}
PUSHJOBS["BACKENDS"]["gateway"]["OPTIONS"]["timeout"] = 3.0

if replica := os.environ.get("CHAOS_REPLICA_URL"):
    DATABASES["replica"] = dj_database_url.parse(replica)
    DATABASE_ROUTERS = ["tests.support.replicas.ReplicaRouter"]

if pool := os.environ.get("CHAOS_POOL_URL"):
    # A connection is somebody else's after each transaction.
    DATABASES["default"] = dj_database_url.parse(pool) | {"DISABLE_SERVER_SIDE_CURSORS": True}
