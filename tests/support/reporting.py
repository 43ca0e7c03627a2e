"""A process that fails in some way and reports it: the other end of an envelope receiver.

``python -m tests.support.reporting <scenario> <dsn>``; the scenarios that need greenlets are
started with ``python -m gevent.monkey``. The SDK patches what it finds, so it never runs inside
the process of the tests.
"""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from django_pushjobs.transport.connections import Connections

CANARY = "canary-7f3a"
OURS = "django_pushjobs.jobs.run_push_request"


class UnluckyError(Exception):
    pass


def _private_failure() -> None:
    """Fail as a backend could that is careless in every way there is."""
    import sentry_sdk

    from django_pushjobs import sentry

    address = f"{CANARY}-address"
    with sentry.job_scope("push-1", queue="pushjobs", function=OURS):
        sentry.tag_push_request(UUID(int=7), "gateway", 3)
        sentry_sdk.set_extra("recipients", [address])
        sentry_sdk.set_context("trace", {"data": {"url": f"https://push.example/{address}"}})
        sentry_sdk.add_breadcrumb(category="http", message=address, data={"url": address})
        logging.getLogger("careless").info("sent %s", address)
        logging.getLogger("careless").error(f"could not send {address}")
        logging.getLogger("django_pushjobs.careless").error("could not send %s", address)
        try:
            try:
                json.loads(address)
            except ValueError as error:
                raise UnluckyError(f"cannot push to {address}") from error
        except UnluckyError as error:
            error.add_note(address)
            logging.getLogger("careless").exception("sending %s failed", address)
            sentry.capture(error)


def private() -> None:
    _private_failure()


def http() -> None:
    """POST a payload to the API, which fails in a way that nobody foresaw."""
    from unittest import mock

    from django.core.handlers.wsgi import WSGIHandler
    from django.test import override_settings
    from django.urls import include, path

    from django_pushjobs.models.keys import ApiKeyManager

    class Urls:
        urlpatterns = (path("", include("django_pushjobs.api.urls")),)

    body = json.dumps({"recipients": [CANARY], "title": CANARY}).encode()
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/push-requests",
        "QUERY_STRING": f"address={CANARY}",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_AUTHORIZATION": f"Bearer {CANARY}",
        "HTTP_COOKIE": f"session={CANARY}",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
    }
    with (
        override_settings(ROOT_URLCONF=Urls, MIDDLEWARE=[], ALLOWED_HOSTS=["*"]),
        mock.patch.object(ApiKeyManager, "authenticate", side_effect=UnluckyError(CANARY)),
    ):
        WSGIHandler()(environ, lambda *args: None)


def greenlets() -> None:
    """Two jobs, interleaved: each tags itself, waits for the other, then fails."""
    import gevent

    from django_pushjobs import sentry

    tagged = threading.Barrier(2)

    def job(number: int) -> None:
        with sentry.job_scope(f"job-{number}", queue=f"queue-{number}", function=OURS):
            traceparent = f"00-{number:032x}-{number:016x}-01"
            sentry.tag_push_request(UUID(int=number), f"backend-{number}", number, traceparent)
            tagged.wait()
            sentry.capture(UnluckyError())
            with ThreadPoolExecutor(1) as pool:
                pool.submit(copy_context().run, sentry.capture, UnluckyError()).result()

    def loop() -> None:
        with sentry.background("writeback"):
            sentry.capture(UnluckyError())

    def starter() -> None:
        with sentry.job_scope("job-0", queue="queue-0", function=OURS):
            thread = threading.Thread(target=loop)
            thread.start()
            thread.join()

    gevent.joinall(
        [gevent.spawn(job, n) for n in (1, 2)] + [gevent.spawn(starter)], raise_error=True
    )
    sentry.capture(UnluckyError())


def fail(secret: str) -> None:
    """A job function of somebody else."""
    raise UnluckyError(f"failed with {secret}")


def rq() -> None:
    """A foreign job and one of ours fail on our worker."""
    from redis import Redis
    from rq import Queue
    from rq.serializers import JSONSerializer

    from django_pushjobs.worker.gevent_worker import GeventWorker

    connection = Redis.from_url(os.environ["REDIS_URL"])
    queue = Queue("reporting", connection=connection, serializer=JSONSerializer)
    queue.enqueue("tests.support.reporting.fail", CANARY, job_id="foreign")
    queue.enqueue(OURS, f"{CANARY}-argument", job_id="ours")
    worker = GeventWorker([queue], connection=connection, serializer=JSONSerializer)
    worker.work(burst=True)


def tunnel() -> None:
    """Give up a tunnel in the making, and report it with the variables of every frame."""
    import socket

    import sentry_sdk
    from gevent import Timeout

    with socket.create_server(("127.0.0.1", 0)) as silent:
        connections = _through(silent.getsockname()[1])
        try:
            with Timeout(0.2, UnluckyError()):
                connections.post(b"")
        except UnluckyError as error:
            sentry_sdk.capture_exception(error)


def _through(port: int) -> Connections:
    from django_pushjobs.transport.connections import Connections

    proxy = f"http://anna:{CANARY}@127.0.0.1:{port}"
    return Connections("http://provider.invalid/", size=1, connect_timeout=5, proxy=proxy)


def outage() -> None:
    """Tell of a provider that is away, as the relay does."""
    from django_pushjobs import sentry
    from django_pushjobs.limits import breaker
    from django_pushjobs.models import Pause

    with sentry.background("relay"):
        breaker.announce_begin(
            Pause(backend="gateway", error_code="timeout", error=CANARY, is_outage=True)
        )


def leave() -> None:
    """Report, and leave as a forked child does: without any exit handler."""
    from django_pushjobs import sentry

    sentry.ignore("arbiter")
    logging.getLogger("arbiter").error("a child died")
    pid = os.fork()
    if pid:
        os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    sentry.capture(UnluckyError())
    sentry.flush(10)
    os._exit(0)


SCENARIOS: dict[str, Callable[[], None]] = {
    scenario.__name__: scenario
    for scenario in (private, http, greenlets, rq, tunnel, outage, leave)
}

if __name__ == "__main__":
    import django
    import sentry_sdk
    from django.conf import settings
    from sentry_sdk.integrations.rq import RqIntegration

    from django_pushjobs.sentry import flush

    name, dsn = sys.argv[1:]
    django.setup()
    if os.environ.get("SEND_PAYLOADS"):
        settings.PUSHJOBS = settings.PUSHJOBS | {"SENTRY_SEND_PAYLOADS": True}
    sentry_sdk.init(
        dsn=dsn,
        send_default_pii=True,
        traces_sample_rate=1.0,
        disabled_integrations=[RqIntegration()] if os.environ.get("WITHOUT_RQ") else [],
    )
    SCENARIOS[name]()
    flush(10)
