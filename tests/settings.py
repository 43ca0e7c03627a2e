"""The example project, against the servers that the test run started."""

import os

from example_project.settings import *  # noqa: F403
from example_project.settings import DATABASES, INSTALLED_APPS, PUSHJOBS

DEBUG = False
# Static files are looked for when asked for: tests collect none.
WHITENOISE_AUTOREFRESH = True
SECRET_KEY = "tests"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
DATABASES["default"]["CONN_MAX_AGE"] = 0
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A file, so that other threads and processes of a test see the same database.
    DATABASES["default"]["TEST"] = {"NAME": os.environ["TEST_SQLITE_FILE"]}
# No test may ask it.
DATABASES["replica"] = DATABASES["default"] | {"TEST": {"MIRROR": "default"}}
DATABASE_ROUTERS = ["tests.support.replicas.ReplicaRouter"]
PUSHJOBS = PUSHJOBS | {
    "BACKENDS": PUSHJOBS["BACKENDS"]
    | {
        "locmem": {"BACKEND": "django_pushjobs.backends.locmem.LocMemBackend"},
        "dummy": {"BACKEND": "django_pushjobs.backends.dummy.DummyBackend"},
    },
    "DEFAULT_BACKEND": "locmem",
    # Tests of other kinds of recipients say so.
    "RESOLVERS": {"address": {"RESOLVER": "django_pushjobs.recipients.AddressResolver"}},
    "DEVICE_BACKENDS": {},
    "INSECURE_DESTINATIONS": False,
    # Tests without a database use Redis, too.
    "REDIS_PREFIX": "tests",
    # On a machine that is busy with tests.
    "REDIS_TIMEOUT": 10.0,
}
# Devices of people who have other apps for them.
INSTALLED_APPS = [*INSTALLED_APPS, "push_notifications", "fcm_django"]
PUSH_NOTIFICATIONS_SETTINGS: dict[str, str] = {}
FCM_DJANGO_SETTINGS: dict[str, str] = {}
