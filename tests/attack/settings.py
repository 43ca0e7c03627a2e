"""The settings of the example project under attack."""

import os

from example_project.settings import *  # noqa: F403
from example_project.settings import DATABASES, LOGGING, PUSHJOBS

from . import resolver

resolver.install()

PUSHJOBS = PUSHJOBS | {
    # The attackers' hosts are on this machine.
    "INSECURE_DESTINATIONS": True,
    # What a site sets that serves strangers: it keeps a client from filling the queue, and from
    # having the web server for itself.
    "MAX_UNFINISHED": 1_000,
    "RATE_LIMIT": 1_000,
    "RATE_WINDOW": 10,
}
# As docs/howto/deployment.rst has it: thousands of calls are in each process.
DATABASES["default"].setdefault("OPTIONS", {})["pool"] = {
    "min_size": 0,
    "max_size": 20,
    "timeout": 30,
}
PUSHJOBS["BACKENDS"]["webpush"]["OPTIONS"]["ca_file"] = os.environ["ATTACK_CA_FILE"]
PUSHJOBS["BACKENDS"]["apns"] = {
    "BACKEND": "django_pushjobs.backends.apns.APNsBackend",
    "OPTIONS": {
        "host": "127.0.0.1",
        "port": int(os.environ["ATTACK_HTTP2_PORT"]),
        "key_id": "ABC123DEFG",
        "team_id": "DEF123GHIJ",
        "topic": "com.example.app",
        "key": os.environ["ATTACK_APNS_KEY"],
        "ca_file": os.environ["ATTACK_CA_FILE"],
        "timeout": 5.0,
    },
}
# What our views failed with is worth more than the answer that says so.
LOGGING["loggers"]["django.request"] = {"handlers": ["stderr"], "level": "ERROR"}
