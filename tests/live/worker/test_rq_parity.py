"""Jobs that use every feature leave the same in Redis, on RQ's worker and on ours."""

from __future__ import annotations

import zlib
from base64 import b64decode
from datetime import timedelta
from pprint import pformat
from typing import Any

from rq import Callback, Queue, Repeat, Retry
from rq.group import Group
from rq.job import Dependency
from rq.rate_limit import RateLimit

from tests.support import citizens, jobs
from tests.support.bursts import burst, queue_of
from tests.support.redis_state import state
from tests.support.stack import Stack


def play(q: Queue) -> None:
    """Enqueue the jobs; the name of each says what is expected of it."""
    # Results.
    for ttl in (0, 79, -1, None):
        q.enqueue(
            jobs.add, 1, 2, job_id=f"result-ttl-{ttl}".replace("--", "-minus-"), result_ttl=ttl
        )
        q.enqueue(jobs.fail, job_id=f"failure-ttl-{ttl}".replace("--", "-minus-"), failure_ttl=ttl)
    q.enqueue(citizens.unserializable, job_id="unserializable-result")
    q.enqueue(jobs.nothing, job_id="time-to-live", ttl=900)
    q.enqueue(citizens.remember, "me", job_id="meta", meta={"other": 1})
    failed = q.enqueue(jobs.fail, job_id="was-put-back", failure_ttl=39, result_ttl=-1)
    # A job that failed before has a record that expires.
    q.remove(failed)
    q.connection.expire(failed.key, 39)
    q.push_job_id(failed.id)
    # Callbacks.
    for name in ("on_success", "failing_callback", "leaving_callback"):
        q.enqueue(
            jobs.add, 1, 2, job_id=f"success-{name}", on_success=Callback(getattr(citizens, name))
        )
    q.enqueue(
        jobs.add, 1, 2, job_id="success-slow",
        on_success=Callback(citizens.sleeping_callback, timeout=1),
        on_failure=Callback(citizens.on_failure),
    )  # fmt: skip
    for name in ("on_failure", "failing_callback", "leaving_callback"):
        q.enqueue(jobs.fail, job_id=f"failure-{name}", on_failure=Callback(getattr(citizens, name)))
    q.enqueue(
        jobs.fail, job_id="failure-slow",
        on_failure=Callback(citizens.sleeping_callback, timeout=1),
    )  # fmt: skip
    # Retries.
    q.enqueue(citizens.flaky, 2, job_id="retried", retry=Retry(max=3))
    q.enqueue(citizens.flaky, 9, job_id="retried-in-vain", retry=Retry(max=2))
    q.enqueue(citizens.flaky, 1, job_id="retried-later", retry=Retry(max=3, interval=[60, 600]))
    q.enqueue(citizens.flaky, 1, job_id="front", retry=Retry(max=1, enqueue_at_front=True))
    q.enqueue(citizens.again, job_id="returns-retry")
    q.enqueue(citizens.again, 60, job_id="returns-retry-later")
    q.enqueue(citizens.always_again, job_id="returns-too-many-retries")
    # Repeats.
    q.enqueue(jobs.nothing, job_id="repeated", repeat=Repeat(times=3))
    q.enqueue(jobs.nothing, job_id="repeated-later", repeat=Repeat(times=2, interval=[300, 60]))
    # Dependencies.
    first = q.enqueue(jobs.add, 1, 1, job_id="parent")
    second = q.enqueue(jobs.add, 1, 1, job_id="other-parent", result_ttl=0)
    bad = q.enqueue(jobs.fail, job_id="bad-parent")
    q.enqueue(jobs.add, 1, 1, job_id="child", depends_on=first)
    q.enqueue(jobs.add, 1, 1, job_id="child-of-two", depends_on=[first, second])
    q.enqueue(jobs.add, 1, 1, job_id="orphan", depends_on=[first, bad])
    q.enqueue(
        jobs.add, 1, 1, job_id="forgiving", depends_on=Dependency([first, bad], allow_failure=True)
    )
    q.enqueue(jobs.nothing, job_id="grandchild", depends_on="child-of-two")
    q.enqueue(citizens.add_dependent, "late-child", job_id="late-parent")
    canceled = q.enqueue(jobs.nothing, job_id="canceled")
    q.enqueue(jobs.nothing, job_id="waits-for-ever", depends_on=canceled)
    canceled.cancel()
    canceled = q.enqueue(jobs.nothing, job_id="canceled-for-child")
    q.enqueue(
        jobs.nothing, job_id="set-free", depends_on=Dependency([canceled], allow_failure=True)
    )
    canceled.cancel(enqueue_dependents=True)
    # Rate limits, groups, unique jobs.
    for number in range(5):
        q.enqueue(
            jobs.nothing if number % 2 else jobs.fail, job_id=f"limited-{number}",
            rate_limit=RateLimit(key="limit", concurrency=2),
        )  # fmt: skip
    Group.create(q.connection, "group").enqueue_many(
        q, [Queue.prepare_data(jobs.add, (1, n), job_id=f"member-{n}") for n in range(3)]
    )
    q.enqueue(jobs.nothing, job_id="unique", unique=True)
    # Strange ends.
    q.enqueue(jobs.sleep, 60, job_id="timeout", job_timeout=1)
    q.enqueue(citizens.catch_timeout, job_id="caught-timeout", job_timeout=1)
    q.enqueue(jobs.sleep, 0.1, job_id="no-timeout", job_timeout=-1)
    for how in ("sys.exit", "KeyboardInterrupt", "GreenletExit"):
        q.enqueue(citizens.leave, how, job_id=how.replace(".", "-"))
    q.enqueue("no.such.function", job_id="unknown-function")
    q.enqueue(jobs.add, 1, job_id="wrong-arguments")
    q.enqueue(citizens.delete_myself, job_id="deleted-meanwhile")
    q.enqueue(
        citizens.delete_myself,
        job_id="deleted-with-callback",
        on_success=Callback(citizens.on_success),
    )
    # Coroutines.
    q.enqueue(citizens.coroutine, 1, job_id="coroutine")
    q.enqueue(citizens.coroutine_that_fails, job_id="failing-coroutine")
    # Scheduled for later: left alone.
    q.enqueue_in(timedelta(hours=1), jobs.nothing, job_id="scheduled")


def left(stack: Stack, worker: str, prefix: str = "rq") -> dict[str, Any]:
    everything = state(stack.redis, worker, prefix)
    # Which parent still lists a child depends on the order in which its parents ended.
    found = {k: v for k, v in everything.items() if not k.endswith(":dependents")}
    for value, _ in found.values():
        if isinstance(value, list):
            for entry in value:
                if isinstance(entry, dict) and "exc_string" in entry:
                    entry["exc_string"] = _last_line(entry["exc_string"])
    found["notes"] = sorted(stack.redis.lrange("notes", 0, -1)), 0
    return found


def _last_line(encoded: str) -> str:
    return zlib.decompress(b64decode(encoded)).decode().strip().rsplit("\n", 1)[-1]


def left_by_ours(stack: Stack, prefix: str = "rq") -> dict[str, Any]:
    burst(stack, RQ_KEY_PREFIX=prefix)
    workers = f"{prefix}:worker:"
    (name,) = (key[len(workers) :].decode() for key in stack.redis.keys(f"{workers}*"))
    return left(stack, name, prefix)


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    different = {key: (found[key], expected[key]) for key in found if found[key] != expected[key]}
    assert not different, pformat(different)


def test_whatever_jobs_are_told_to_do_the_same_is_left_in_redis(stack: Stack) -> None:
    play(queue_of(stack))
    theirs = stack.python(
        "-m", "rq.cli", "worker", "default", "--burst", "--quiet", "--name=theirs.0.1",
        "--url", stack.environment["REDIS_URL"], "--worker-class", "rq.SimpleWorker",
    )  # fmt: skip
    assert theirs.wait() == 0, theirs.output
    expected = left(stack, "theirs.0.1")
    stack.redis.flushdb()
    play(queue_of(stack))
    assert_same(left_by_ours(stack), expected)


PLAY = """
import os
from redis import Redis
from rq import Queue
from tests.live.worker.test_rq_parity import play
play(Queue("default", connection=Redis.from_url(os.environ["REDIS_URL"])))
"""


def test_under_another_prefix_the_same_is_left_under_its_names(stack: Stack) -> None:
    play(queue_of(stack))
    expected = left_by_ours(stack)
    stack.redis.flushdb()
    # RQ reads the prefix when it is loaded.
    played = stack.python("-c", PLAY, RQ_KEY_PREFIX="{elsewhere}:rq")
    assert played.wait() == 0, played.output
    assert_same(left_by_ours(stack, "{elsewhere}:rq"), expected)
    assert not stack.redis.keys("rq:*")
