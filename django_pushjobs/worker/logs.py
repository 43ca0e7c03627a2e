"""What the worker's log looks like."""

from __future__ import annotations

import logging
import sys

from rq.logutils import setup_loghandlers

LOGGERS = ("rq.worker", "rq.job", "django_pushjobs")
FORMATS = ("text", "json")


def set_up(level: str, log_format: str) -> None:
    """Set up the loggers of RQ and of this package.

    ``text`` leaves a set-up of the project's own as it is; ``json`` replaces it by one object a
    line on standard error.

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
