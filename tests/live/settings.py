"""The example project as the processes of live tests run it."""

import os

from example_project.settings import *  # noqa: F403
from example_project.settings import DATABASES, PUSHJOBS, RQ_QUEUES  # noqa: F401

# One that knows nothing: whoever asks it finds no table.
DATABASES["replica"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
DATABASE_ROUTERS = ["tests.support.replicas.ReplicaRouter"]
PUSHJOBS = PUSHJOBS | {
    "LEASE": float(os.environ.get("TEST_LEASE", "60")),
    "MAX_LISTENERS": int(os.environ.get("TEST_MAX_LISTENERS", "5000")),
    "RELAY_INTERVAL": 0.2,
    "RETRY_BASE": 0.1,
    "PROBE_EVERY": 0.5,
}
