"""The example project with an alias for each run of each case, from a file that the run wrote."""

import _socket
import json
import os
from pathlib import Path

from example_project.settings import *  # noqa: F403
from example_project.settings import PUSHJOBS
from tests.support.answering import SETTINGS, lead_here

#: Environment variable: path of a file with BACKENDS.
VARIABLE = "VERDICTS_BACKENDS"
MAX_ATTEMPTS = 3

_BACKENDS = json.loads(Path(os.environ[VARIABLE]).read_text("utf-8"))
PUSHJOBS = (
    PUSHJOBS
    | SETTINGS
    | {
        "BACKENDS": _BACKENDS,
        "DEFAULT_BACKEND": next(iter(_BACKENDS)),
        "TEST_BACKEND": "",
        "DEVICE_BACKENDS": {},
        "MAX_ATTEMPTS": MAX_ATTEMPTS,
        "RETRY_BASE": 0.2,
    }
)
# That the providers are on this machine.
SILENCED_SYSTEM_CHECKS = ["django_pushjobs.W003"]
# Only how a name is looked up differs: which pushes lead where is up to the backend.
_socket.getaddrinfo = lead_here(_socket.getaddrinfo)
