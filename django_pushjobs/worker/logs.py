"""The worker's log: as text, or as JSON."""

from __future__ import annotations

import logging
import sys

from rq.logutils import setup_loghandlers

LOGGERS = ("rq.worker", "rq.job", "django_pushjobs")
FORMATS = ("text", "json")


def set_up(level: str, log_format: str) -> None:
    """Set up the loggers of RQ and of this package.

    ``text`` keeps what the project has set up; ``json`` replaces it with one object per line on
    standard error.

    :param level: the name of a level of :mod:`logging`.
    :param log_format: one of :data:`FORMATS`.
    :raises ImportError: ``json`` needs python-json-logger (the extra ``json``).
    """
    if log_format == "text":
        for name in LOGGERS:
            setup_loghandlers(level, name=name)
        return
    from pythonjsonlogger.json import JsonFormatter

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter(
            "{levelname}{name}{process}{message}",
            style="{",
            timestamp=True,
            rename_fields={"levelname": "level", "name": "logger"},
        )
    )
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.propagate = False
        logger.setLevel(level)
