"""Checks of the queues that ``QUEUES``, ``CALLBACK_QUEUE`` and ``ALLOWED_JOBS`` name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.utils.module_loading import import_string

from ..states import Priority
from .entries import listed


def wrong_queues(queues: Mapping[Any, Any], callback_queue: str) -> Iterator[CheckMessage]:
    hint = f"Priorities are {', '.join(map(repr, Priority.values))}."
    if missing := set(Priority.values) - queues.keys():
        names = ", ".join(sorted(map(repr, missing)))
        message = f"PUSHJOBS['QUEUES'] has no queue for {names}."
        yield Error(message, hint=hint, id="django_pushjobs.E011")
    if unknown := queues.keys() - set(Priority.values):
        names = ", ".join(sorted(map(repr, unknown)))
        message = f"PUSHJOBS['QUEUES'] has unknown priorities: {names}."
        yield Error(message, hint=hint, id="django_pushjobs.E011")
    rq_queues = getattr(settings, "RQ_QUEUES", None)
    if not isinstance(rq_queues, dict):
        yield Error(
            "RQ_QUEUES must be a dict.",
            hint="django-rq reads its queues from it.",
            id="django_pushjobs.E013",
        )
        return
    # Each queue once, however many priorities use it, in a stable order.
    ours = dict.fromkeys(map(_hashable, queues.values()), "QUEUES")
    if callback_queue:
        ours.setdefault(callback_queue, "CALLBACK_QUEUE")
    for queue, setting in ours.items():
        if not isinstance(queue, str) or not isinstance(rq_queues.get(queue), dict):
            yield Error(
                f"PUSHJOBS[{setting!r}] uses the queue {queue!r}, which is not in RQ_QUEUES.",
                hint=f"RQ_QUEUES has: {listed(rq_queues)}.",
                id="django_pushjobs.E013",
            )
        else:
            yield from _wrong_queue(queue, rq_queues[queue])


def wrong_allowed_jobs(allowed: Mapping[Any, Any], ours: Sequence[Any]) -> Iterator[CheckMessage]:
    """Yield what is wrong with ``ALLOWED_JOBS``.

    :param ours: the names of our queues, whose entries in ``RQ_QUEUES`` are checked elsewhere.
    """
    rq_queues = getattr(settings, "RQ_QUEUES", None)
    for queue, names in allowed.items():
        where = f"PUSHJOBS['ALLOWED_JOBS'][{queue!r}]"
        if not isinstance(names, list | tuple) or not all(map(_is_dotted, names)):
            yield Error(
                f"{where} must be a list of dotted names of functions.",
                hint='Such as ["shop.jobs.remind"].',
                id="django_pushjobs.E021",
            )
        entry = rq_queues.get(queue) if isinstance(rq_queues, dict) else None
        if not isinstance(entry, dict):
            yield Error(
                f"{where} is for a queue that is not in RQ_QUEUES.",
                hint="Jobs are taken off queues in RQ_QUEUES only.",
                id="django_pushjobs.E021",
            )
        elif queue not in ours and not _writes_json(entry.get("SERIALIZER")):
            yield Error(
                f"{where} is for a queue that does not use a JSON serializer.",
                hint="Whoever can write a pickled job can run anything before its name is read.",
                id="django_pushjobs.E021",
            )


def _is_dotted(name: Any) -> bool:
    return isinstance(name, str) and "." in name and all(map(str.isidentifier, name.split(".")))


def _hashable(value: Any) -> Any:
    return value if isinstance(value, str) else repr(value)


def _wrong_queue(name: str, entry: Mapping[str, Any]) -> Iterator[CheckMessage]:
    if not _writes_json(entry.get("SERIALIZER")):
        yield Error(
            f"RQ_QUEUES[{name!r}] does not use a JSON serializer.",
            hint=(
                "Our jobs are JSON, so that nothing from the queue is unpickled. Add "
                '"SERIALIZER": "rq.serializers.JSONSerializer", and use another queue for jobs '
                "that need pickle."
            ),
            id="django_pushjobs.E014",
        )
    if not entry.get("ASYNC", True):
        yield Error(
            f"RQ_QUEUES[{name!r}] has ASYNC set to False.",
            hint="Remove it: messages would be pushed while the third party waits for its answer.",
            id="django_pushjobs.E015",
        )


def _writes_json(serializer: Any) -> bool:
    """Return True if ``serializer`` writes JSON, whatever it is called."""
    if serializer == "json":  # RQ's alias
        return True
    try:
        if isinstance(serializer, str):
            serializer = import_string(serializer)
        return bool(json.loads(serializer.dumps(["job"])) == ["job"])
    except Exception:  # not a serializer, or one that writes something else
        return False
