"""The example project with a backend that accepts all, and rows that are kept for a month."""

from __future__ import annotations

from example_project.settings import *  # noqa: F403
from example_project.settings import PUSHJOBS as _EXAMPLE

RETENTION = 30 * 86_400

PUSHJOBS = _EXAMPLE | {
    "BACKENDS": {"dummy": {"BACKEND": "django_pushjobs.backends.dummy.DummyBackend"}},
    "DEFAULT_BACKEND": "dummy",
    "TEST_BACKEND": "",
    "DEVICE_BACKENDS": {},
    "RETENTION": float(RETENTION),
    # So that nobody asks the database for it, of which there are two.
    "REDIS_PREFIX": "scale",
    # On a machine that is busy.
    "REDIS_TIMEOUT": 10.0,
}
# Nobody has collected them, and the admin is asked without.
WHITENOISE_AUTOREFRESH = True
