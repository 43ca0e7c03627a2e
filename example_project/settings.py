"""Settings of the example project: everything can be set in the environment.

=======================  ====================================================  ===================
variable                 what it sets                                          default
=======================  ====================================================  ===================
``VAR_DIR``              folder of SQLite, collected static files, logs,       ``var/``
                         and the VAPID key of the demo
``DATABASE_URL``         the database                                          SQLite in the above
``REDIS_URL``            Redis or Valkey                                       localhost, db 0
``GATEWAY_URL``          where the backend ``gateway`` pushes to               localhost:8081
``GATEWAY_CONNECTIONS``  connections of a process to it, at most               1000
``VAPID_SUBJECT``        contact for the push services of browsers             an example
``SECRET_KEY``           Django's secret key                                   only with ``DEBUG``
``DEBUG``                ``1`` or ``0``                                        ``1``
``ALLOWED_HOSTS``        host names, separated by commas                       local ones
``SENTRY_DSN``           where errors are reported                             nowhere
``LOG_LEVEL``            of ``django_pushjobs`` and ``rq``                     ``INFO``
``PUSHJOBS_LEASE``       seconds a claim holds without being renewed           60
=======================  ====================================================  ===================
"""

import os
from pathlib import Path
from typing import Any

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from .vapid import private_key

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(os.environ.get("VAR_DIR", BASE_DIR / "var"))

DEBUG = os.environ.get("DEBUG", "1") == "1"
SECRET_KEY = os.environ.get("SECRET_KEY", "only-for-development" if DEBUG else "")
if not SECRET_KEY:
    raise ImproperlyConfigured("SECRET_KEY must be set if DEBUG is 0")
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]").split(",")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_rq",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_pushjobs",
    "example_project",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "example_project.urls"
WSGI_APPLICATION = "example_project.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# The web server has a greenlet for each connection, which would each keep one to the database.
DATABASES = {
    "default": dj_database_url.config(default=f"sqlite:///{VAR_DIR / 'db.sqlite3'}", conn_max_age=0)
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    Path(DATABASES["default"]["NAME"]).parent.mkdir(parents=True, exist_ok=True)
    # Readers do not block the writer, and a transaction that writes takes the lock at its start:
    # with many processes the default mode ends in "database is locked".
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
if DATABASES["default"]["ENGINE"] == "django.db.backends.mysql":
    # The driver in Python: mysqlclient waits in C, which blocks all greenlets.
    import pymysql

    pymysql.install_as_MySQLdb()

REDIS_URL = os.environ.get("REDIS_URL", "redis://localhost:6379/0")
RQ_QUEUES = {
    # Ours holds only keys of rows, as JSON: nothing on it is unpickled.
    "pushjobs": {"URL": REDIS_URL, "SERIALIZER": "rq.serializers.JSONSerializer"},
    "default": {"URL": REDIS_URL},
}

# Push services require a contact whose host is on the public internet.
VAPID_PRIVATE_KEY = private_key(VAR_DIR / "vapid.key")
VAPID_SUBJECT = os.environ.get("VAPID_SUBJECT", "mailto:webmaster@example.com")

PUSHJOBS: dict[str, Any] = {
    "BACKENDS": {
        "gateway": {
            "BACKEND": "django_pushjobs.backends.http.HTTPBackend",
            "OPTIONS": {
                "url": os.environ.get("GATEWAY_URL", "http://127.0.0.1:8081/messages"),
                "connections": int(os.environ.get("GATEWAY_CONNECTIONS", "1000")),
            },
        },
        "console": {"BACKEND": "django_pushjobs.backends.console.ConsoleBackend"},
        "webpush": {
            "BACKEND": "django_pushjobs.backends.webpush.WebPushBackend",
            "OPTIONS": {"private_key": VAPID_PRIVATE_KEY, "subject": VAPID_SUBJECT},
        },
        "sandbox": {"BACKEND": "django_pushjobs.backends.sandbox.SandboxBackend"},
    },
    "DEFAULT_BACKEND": "gateway",
    "TEST_BACKEND": "sandbox",
    # The demo receives its callbacks on this machine.
    "INSECURE_DESTINATIONS": DEBUG,
    "DEVICE_BACKENDS": {"web": "webpush"},
    "RESOLVERS": {
        "address": {"RESOLVER": "django_pushjobs.recipients.AddressResolver"},
        "user": {"RESOLVER": "django_pushjobs.devices.resolvers.UserResolver"},
        "tag": {"RESOLVER": "django_pushjobs.devices.resolvers.TagResolver"},
    },
    "LEASE": float(os.environ.get("PUSHJOBS_LEASE", "60")),
}

REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
WHITENOISE_USE_FINDERS = DEBUG

LOG_LEVEL = os.environ.get("LOG_LEVEL", "INFO")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "%(asctime)s %(process)d %(levelname)s %(name)s %(message)s"}
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        "django_pushjobs": {"handlers": ["stderr"], "level": LOG_LEVEL, "propagate": False},
        "rq": {"handlers": ["stderr"], "level": LOG_LEVEL, "propagate": False},
    },
}

if SENTRY_DSN := os.environ.get("SENTRY_DSN"):
    import sentry_sdk

    sentry_sdk.init(dsn=SENTRY_DSN)
