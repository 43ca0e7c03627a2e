"""Jobs, callbacks and classes that use what RQ offers, as other people's projects do.

What they want to tell a test they push to the list ``notes`` in Redis.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import pickle
import sys
import time
from typing import Any

import gevent
from redis import Redis
from rq import Queue, Retry, get_current_job
from rq.job import Job
from rq.timeouts import JobTimeoutException

_turns = itertools.count()


def current() -> Job:
    job = get_current_job()
    assert job is not None
    return job


def note(text: str) -> str:
    """Tell the test, and return the same."""
    current().connection.rpush("notes", text)
    return text


def slow_note(text: str, seconds: float) -> str:
    time.sleep(seconds)
    return note(text)


def turn() -> int:
    """Return how many jobs of this process began before this one."""
    return next(_turns)


def sign(path: str) -> None:
    """Write down who was here, in a file: Redis may be away."""
    with open(path, "a") as book:
        book.write(f"{current().id}\n")


def worker_name() -> str:
    return str(current().worker_name)


def flaky(failures: int) -> int:
    """Fail that often, then return how often it was tried."""
    job = current()
    tries = int(job.connection.incr(f"tries:{job.id}"))
    if tries <= failures:
        raise ValueError(f"try {tries}")
    return tries


def again(interval: int = 0) -> Any:
    """Ask for a retry by returning one, the first two times."""
    job = current()
    tries = int(job.connection.incr(f"tries:{job.id}"))
    return Retry(max=5, interval=interval) if tries <= 2 else tries


def always_again() -> Retry:
    return Retry(max=2)


def remember(value: str) -> None:
    job = current()
    job.meta["value"] = value
    job.save_meta()


def unserializable() -> Any:
    return lambda: None


def who_am_i(rounds: int) -> list[str]:
    """Return whom RQ takes for the current job, between many switches of greenlets."""
    seen = set()
    for _ in range(rounds):
        time.sleep(0.01)
        seen.add(current().id)
    return sorted(seen)


# Those that do not end by themselves, or not as they should.


def leave(how: str) -> None:
    if how == "sys.exit":
        sys.exit(3)
    if how == "KeyboardInterrupt":
        raise KeyboardInterrupt
    if how == "GreenletExit":
        raise gevent.GreenletExit
    os._exit(3)


def catch_timeout() -> str:
    try:
        time.sleep(600)
    except JobTimeoutException:
        time.sleep(0.1)
        return "caught"
    return "not interrupted"


def ignore_timeout() -> None:
    try:
        time.sleep(600)
    except JobTimeoutException:
        time.sleep(600)


def nested_timeouts() -> str:
    """Wait with a shorter timeout of one's own, then with a longer one."""
    with gevent.Timeout(0.2, False):
        time.sleep(600)
    with gevent.Timeout(100, False):
        time.sleep(600)
    return "not interrupted"


def never_listen() -> str:
    """Go on for two seconds, whatever is thrown in."""
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        try:
            time.sleep(deadline - time.monotonic())
        except BaseException:
            pass
    return "went on"


def sleep_for_ever() -> None:
    time.sleep(600)


def crowd(key: str, seconds: float = 0.2, outcome: str = "well") -> None:
    """Record the most that were here at the same time."""
    connection = current().connection
    here = connection.incr(f"crowd:{key}")
    connection.zadd("crowds", {key: here}, gt=True)
    try:
        time.sleep(seconds)
        if outcome == "badly":
            raise ValueError
    finally:
        connection.decr(f"crowd:{key}")


def add_dependent(name: str) -> None:
    """Enqueue a job that depends on this one, while this one runs."""
    job = current()
    Queue(job.origin, connection=job.connection).enqueue(note, name, depends_on=job, job_id=name)


def delete_myself() -> str:
    """Be deleted by somebody else while this runs."""
    job = current()
    Job.fetch(job.id, connection=job.connection).delete()
    return "deleted"


# Coroutines.


async def coroutine(number: int) -> tuple[int, str]:
    await asyncio.sleep(0.3)
    return number, await asyncio.to_thread(lambda: current().id)


def runs_a_loop(number: int) -> int:
    """Call ``asyncio.run`` oneself."""

    async def wait() -> int:
        await asyncio.sleep(0.3)
        current().meta["number"] = number
        current().save_meta()
        return number

    return asyncio.run(wait())


def is_in_a_loop() -> bool:
    """Say whether somebody else's event loop is seen at any time here."""
    for _ in range(50):
        time.sleep(0.01)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            continue
        return True
    return False


async def coroutine_that_fails() -> None:
    await asyncio.sleep(0)
    raise ValueError("in a coroutine")


async def coroutine_that_leaves() -> None:
    sys.exit(3)


async def endless_coroutine(name: str) -> None:
    connection = current().connection
    try:
        await asyncio.sleep(600)
    finally:
        connection.rpush("notes", f"{name} cleaned up")


# Callbacks and handlers.


def on_success(job: Job, connection: Redis, result: Any) -> None:
    connection.rpush("notes", f"success of {job.id}: {result}")


def on_failure(job: Job, connection: Redis, kind: type, value: BaseException, trace: Any) -> None:
    connection.rpush("notes", f"failure of {job.id}: {kind.__name__}")


def on_stopped(job: Job, connection: Redis) -> None:
    connection.rpush("notes", f"stop of {job.id}")


def idle_callback(*args: Any) -> None:
    pass


def sleeping_callback(*args: Any) -> None:
    time.sleep(600)


def failing_callback(*args: Any) -> None:
    raise RuntimeError("a callback fails")


def leaving_callback(*args: Any) -> None:
    sys.exit(3)


def first_handler(job: Job, *exc_info: Any) -> bool | None:
    """Stop the chain of handlers at jobs that say so; fail at those that say that."""
    job.connection.rpush("notes", f"first handler: {job.id}")
    if job.meta.get("handler") == "fails":
        raise RuntimeError("a handler fails")
    return False if job.meta.get("handler") == "stops" else None


def second_handler(job: Job, *exc_info: Any) -> None:
    job.connection.rpush("notes", f"second handler: {job.id}")


# Classes of one's own.


class LoudJob(Job):
    """Has a field and an opinion of its own."""

    def perform(self) -> Any:
        self.meta["performed_by"] = type(self).__name__
        self.meta["created"] = self.created_at is not None and self.enqueued_at is not None
        self.save_meta()
        return super().perform()


class LoudQueue(Queue):
    def enqueue_dependents(self, job: Job, *args: Any, **kwargs: Any) -> None:
        self.connection.rpush("notes", f"dependents of {job.id}")
        super().enqueue_dependents(job, *args, **kwargs)


class LifoQueue(Queue):
    @classmethod
    def lpop(cls, *args: Any, **kwargs: Any) -> Any:
        """Hand out the last job first."""
        raise NotImplementedError


class ReversedSerializer:
    """Nothing that RQ's own serializers could read."""

    @staticmethod
    def dumps(*args: Any, **kwargs: Any) -> bytes:
        return pickle.dumps(*args, **kwargs)[::-1]

    @staticmethod
    def loads(data: bytes, *args: Any, **kwargs: Any) -> Any:
        return pickle.loads(data[::-1], *args, **kwargs)
