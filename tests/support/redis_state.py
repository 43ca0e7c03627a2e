"""What RQ left in Redis, with ids and times made comparable."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from redis import Redis

#: Values that differ from run to run, whoever writes them.
_VOLATILE = [
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z"), "<time>"),
    (re.compile(r"\b\d{10}(\.\d+)?\b"), "<timestamp>"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "<execution>"),
]
#: Said by the process, not by the job.
_OF_THE_PROCESS = {"pid", "ip_address", "hostname", "birth", "total_working_time"}
#: What a job says of when something last became of it.
_MOMENTS = ("created_at", "enqueued_at", "started_at", "ended_at")


def state(connection: Redis, worker: str, prefix: str = "rq") -> dict[str, Any]:
    """Return every key of RQ with its value and seconds to live.

    The names are those without ``RQ_KEY_PREFIX``, which is ``prefix``, and ``worker`` is called
    ``<worker>``.

    Times are counted from when something last became of the job that they belong to, not from the
    moment of looking: how long the whole took, or how late this looks, is nobody's difference.
    They are rounded down to tens of seconds; of what belongs to no job, to minutes.
    """
    found: dict[str, Any] = {}
    names = {worker: "<worker>", f"{prefix}:": "rq:"}
    for raw in connection.scan_iter(f"{prefix}:*", count=1_000):
        key = raw.decode()
        value = _value(connection, key, prefix)
        expires = connection.expiretime(key)
        if expires > 0:
            expires = _ahead(connection, expires, key.rsplit(":", 1)[-1], prefix)
        found[_plain(key, names)] = (_compare(value, names), expires)
    return found


def _ahead(connection: Redis, moment: float, member: str, prefix: str) -> int:
    """Return how many seconds a Unix time is after what last became of the job ``member``."""
    said = connection.hmget(f"{prefix}:job:{member.split(':', 1)[0]}", *_MOMENTS)
    moments = [datetime.fromisoformat(at.decode()).timestamp() for at in said if at]
    if moments:
        # Some seconds may pass in between, and two clocks may differ a little.
        return int(moment - max(moments) + 2) // 10 * 10
    return round((moment - connection.time()[0]) / 60) * 60


def _value(connection: Redis, key: str, prefix: str) -> Any:
    kind = connection.type(key).decode()
    if kind == "hash":
        items = {k.decode(): v for k, v in connection.hgetall(key).items()}
        return {k: v for k, v in items.items() if k not in _OF_THE_PROCESS}
    if kind == "zset":
        # Scores are times: what counts is how far ahead they are.
        return {
            member.decode(): score
            if score == float("inf") or score <= 0
            else _ahead(connection, score, member.decode(), prefix)
            for member, score in connection.zscan_iter(key)
        }
    if kind == "stream":
        return [{k.decode(): v for k, v in entry.items()} for _, entry in connection.xrange(key)]
    if kind == "list":
        return [item.decode() for item in connection.lrange(key, 0, -1)]
    if kind == "set":
        return sorted(member.decode() for member in connection.smembers(key))
    return connection.get(key)


def _compare(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {_plain(k, names): _compare(v, names) for k, v in value.items()}
    if isinstance(value, list):
        return [_compare(item, names) for item in value]
    if isinstance(value, bytes):
        try:
            return _plain(value.decode(), names)
        except UnicodeDecodeError:
            return value
    return _plain(value, names) if isinstance(value, str) else value


def _plain(text: str, names: Mapping[str, str]) -> str:
    for said, name in names.items():
        text = text.replace(said, name)
    for pattern, name in _VOLATILE:
        text = pattern.sub(name, text)
    return text
