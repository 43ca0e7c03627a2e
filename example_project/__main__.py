"""``python -m example_project``: start everything, run the demo, keep running until Ctrl-C.

Without a terminal it stops after the demo. The exit code is 1 if the numbers do not add up.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

import django
from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseError
from redis.exceptions import RedisError

from .demo import Demo
from .processes import ProcessError
from .screen import Screen
from .services import ROOT, Services
from .thirdparty import ApiError

QUEUE = "pushjobs"
#: What can go wrong around the demo, and is reported in a sentence instead of a traceback.
FAILURES = (ProcessError, ApiError, DatabaseError, RedisError, ImproperlyConfigured, OSError)
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m example_project",
        description="Start everything, run the demo, and keep running until Ctrl-C. Without a "
        "terminal it stops after the demo. The exit code is 1 if the numbers do not add up.",
    )
    parser.add_argument(
        "--requests", type=int, default=2_000, help="number of push requests to submit"
    )
    parser.add_argument("--connections", type=int, default=8, help="connections of the third party")
    parser.add_argument("--latency-ms", type=float, default=50.0, help="latency of the gateway")
    parser.add_argument("--processes", type=int, default=2, help="processes of the worker")
    parser.add_argument("--concurrency", type=int, default=100, help="concurrent jobs per process")
    parser.add_argument("--deadline", type=float, default=120.0, help="seconds for each phase")
    parser.add_argument(
        "--port", type=int, help="port of the web server (default: 8000 or a free one)"
    )
    return parser


def main() -> int:
    given = options().parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")
    os.environ.setdefault("VAR_DIR", str(ROOT / "var"))
    screen = Screen()
    with Services(Path(os.environ["VAR_DIR"])) as services:
        _handle_signals(services)
        try:
            return _run(given, services, screen)
        except FAILURES as error:
            screen.failure(str(error))
            return 1
        except KeyboardInterrupt:
            return 128 + signal.SIGINT
        finally:
            # From here on nothing may keep the services from being stopped.
            for signum in STOP_SIGNALS:
                signal.signal(signum, signal.SIG_IGN)
            screen.farewell()


def _handle_signals(services: Services) -> None:
    """Stop on Ctrl-C, on SIGTERM, and when the terminal goes away, whatever was inherited.

    A shell ignores SIGINT in what it starts in the background, and Python then leaves it ignored.
    An ignored SIGHUP stays ignored, since that is what ``nohup`` is for.
    """

    def stop(signum: int, frame: FrameType | None) -> None:
        # Noted as well: an exception raised in the callback of a dying object would be lost.
        services.told_to_end = signum
        services.check()

    for signum in STOP_SIGNALS:
        if signum != signal.SIGHUP or signal.getsignal(signum) != signal.SIG_IGN:
            signal.signal(signum, stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def _run(given: argparse.Namespace, services: Services, screen: Screen) -> int:
    screen.heading("Starting")
    if "REDIS_URL" in os.environ:
        screen.step("redis", "from REDIS_URL")
    else:
        os.environ["REDIS_URL"] = services.start_valkey()
        screen.step("valkey", os.environ["REDIS_URL"])
    gateway_url = services.start_gateway(given.latency_ms)
    os.environ["GATEWAY_URL"] = f"{gateway_url}/messages"
    screen.step("gateway", f"{gateway_url}, answers after {given.latency_ms:g} ms")

    django.setup()
    # These need the settings, which need the URLs from above.
    from .seeds import database, plant
    from .workers import listening

    seeds = plant()
    screen.step("database", database())
    web_url = services.start_web(port=given.port)
    screen.step("web server", web_url)
    services.start_worker(
        QUEUE,
        processes=given.processes,
        concurrency=given.concurrency,
        listening=listening(QUEUE),
    )
    screen.step(
        "worker",
        f"rqgeventworker, {given.processes} processes, {given.concurrency} concurrent jobs each",
    )

    demo = Demo(
        services=services,
        screen=screen,
        web_url=web_url,
        gateway_url=gateway_url,
        key=seeds.key,
        requests=given.requests,
        connections=given.connections,
        deadline=given.deadline,
    )
    report = demo.run()
    screen.report(report)
    if problems := list(report.problems()):
        screen.failure("The numbers do not add up:")
        for problem in problems:
            screen.failure(problem)
        return 1
    screen.success("Everything adds up.")
    screen.links(web_url, gateway_url, seeds.key, seeds.login)
    if sys.stdin.isatty() and sys.stdout.isatty():
        _stay(services, screen)
    return 0


def _stay(services: Services, screen: Screen) -> None:
    """Return on Ctrl-C.

    :raises ProcessError: a service ended by itself.
    """
    try:
        screen.heading("Running. Press Ctrl-C to stop.")
        while True:
            services.check()
            time.sleep(0.5)
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    sys.exit(main())
