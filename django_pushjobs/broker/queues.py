"""Queues and jobs: the only door to django-rq.

A job carries nothing but the key of a push request. The row is the truth: a job that is lost is
enqueued again, and a superfluous one finds nothing to claim.
"""

from __future__ import annotations

import logging
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Any
from uuid import UUID, uuid4

import django_rq
import django_rq.settings
from django.utils import timezone
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, Retry
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer
from rq.timeouts import JobTimeoutException as JobTimeout
from rq.utils import str_to_date

from ..conf import CALLBACK_JOB, JOB, conf
from ..runtime.greenlets import slots
from ..states import Priority
from .keys import key
from .patience import Patience

__all__ = [
    "JobTimeout",
    "PushJob",
    "blocking_connection",
    "callback_queue",
    "connection",
    "depth",
    "endpoint_of",
    "enqueue",
    "enqueue_callbacks",
    "is_reachable",
    "lost",
    "note_started",
    "queue",
    "request_of",
    "withdraw",
]

logger = logging.getLogger(__name__)

#: How often RQ may requeue a job whose worker has died.
LIVES = 10

#: Jobs that are enqueued in one call: Redis serves nobody else in the meantime.
BATCH = 500

#: Seconds; the job ends by itself long before.
CALLBACK_JOB_TIMEOUT = 120
#: Seconds after which a job that has not started counts as lost.
NOTED_FOR = 60


@dataclass(frozen=True, slots=True)
class PushJob:
    """The job of one push request: what is needed to enqueue it, and to find it again.

    ``enqueues`` says how often the request was enqueued before, so that every job has an id of its
    own and RQ's record of an earlier one cannot be mistaken for it.
    """

    request_id: UUID
    priority: str
    enqueues: int

    @property
    def job_id(self) -> str:
        return f"push-{self.request_id.hex}-{self.enqueues + 1}"


def queue(priority: str) -> Queue:
    """Return the RQ queue for a priority, with the JSON serializer: nothing is unpickled.

    It is made once and kept, with its connections: a new one asks Redis for its version first.

    :raises broker.Unavailable: this process has no time for Redis, see :mod:`.patience`.
    """
    return _named(conf().QUEUES[priority])


def _named(name: str, *, hurried: bool | None = None) -> Queue:
    if hurried is None:
        # In a worker nobody waits.
        hurried = slots() is None
    configuration = django_rq.settings.QUEUES[name]
    kept = _kept.get((name, hurried))
    if kept is None or kept.configuration is not configuration:
        kept = _kept[name, hurried] = _Kept(configuration, Patience() if hurried else None)
    if kept.patience is not None:
        kept.patience.check()
    if kept.queue is None:
        redis = django_rq.get_connection(name)
        # redis-py's default is a hundred at most; there are more greenlets, and each call is brief.
        redis.connection_pool.max_connections = 2**31
        if kept.patience is not None:
            kept.patience.apply(redis)
        kept.queue = django_rq.get_queue(name, connection=redis, serializer=JSONSerializer)
    return kept.queue


@dataclass(slots=True)
class _Kept:
    """A queue, once it was made, and the settings that it was made from."""

    configuration: object
    patience: Patience | None
    queue: Queue | None = None


#: Queues by name, and by whether somebody waits. redis-py sees to it that connections are not
#: shared across a fork.
_kept: dict[tuple[str, bool], _Kept] = {}


def connection() -> Redis:
    """Return the connection to Redis, for what all processes have to agree on besides the queues.

    Of several servers it is the one with the queue of normal priority. Answers are bytes.

    :raises broker.Unavailable: as :func:`queue`.
    """
    return queue(Priority.NORMAL).connection


def blocking_connection() -> Redis:
    """Return a connection like :func:`connection` for calls that wait for something to happen."""
    return _named(conf().QUEUES[Priority.NORMAL], hurried=False).connection


def enqueue(push_jobs: Iterable[PushJob]) -> None:
    """Enqueue the jobs for ``push_jobs``, one round trip a queue.

    Call it after the commit that made the rows QUEUED.

    Writes what ``Queue.enqueue_many`` writes, at a fifth of its cost: the jobs are all alike, so
    RQ makes one of them, and Redis the others, which differ from it by their key.

    :raises broker.Unavailable: Redis did not take them; some may be enqueued all the
        same, which does no harm.
    """
    for _, batch in _by_queue(push_jobs):
        target = queue(batch[0].priority)
        template = _job(target, _NOBODY)
        target._prepare_for_queue(template)
        fields, data = template.to_dict(), template.data
        del fields["data"], fields["description"]
        script = target.connection.register_script(_ENQUEUE)
        alike = [part for field in fields.items() for part in field]
        for start in range(0, len(batch), BATCH):
            keys = [target.redis_queues_keys, target.key]
            arguments: list[Any] = [len(alike), *alike]
            for push_job in batch[start : start + BATCH]:
                request_id = str(push_job.request_id)
                keys.append(Job.key_for(push_job.job_id))
                arguments += (
                    push_job.job_id,
                    _compressed(data.replace(_NOBODY.encode(), request_id.encode())),
                    _description(request_id),
                )
            script(keys=keys, args=arguments)


def _compressed(data: bytes) -> bytes:
    """Return ``data`` as RQ reads it. It is short: making a large window takes ten times longer."""
    stream = zlib.compressobj(1, zlib.DEFLATED, wbits=9, memLevel=1)
    return stream.compress(data) + stream.flush()


#: Put jobs on the queue KEYS[2], of those that KEYS[1] lists; the other keys are those of the jobs.
#: ARGV holds the number of what follows, the fields that all of them have, and then id, data and
#: description of each. See rq.Queue.enqueue_many for what is written.
_ENQUEUE = """
local alike = tonumber(ARGV[1])
local fields, ids = {}, {}
for i = 1, alike do fields[i] = ARGV[1 + i] end
for i = 3, #KEYS do
    local first = alike + 2 + (i - 3) * 3
    redis.call('HSET', KEYS[i], 'data', ARGV[first + 1],
        'description', ARGV[first + 2], unpack(fields))
    ids[#ids + 1] = ARGV[first]
end
redis.call('SADD', KEYS[1], KEYS[2])
redis.call('RPUSH', KEYS[2], unpack(ids))
"""

#: Stands for the key of a push request.
_NOBODY = str(UUID(int=0))


def _job(target: Queue, request_id: str) -> Job:
    settings = conf()
    return target.create_job(
        JOB,
        args=(request_id,),
        description=_description(request_id),
        timeout=settings.JOB_TIMEOUT,
        result_ttl=settings.RESULT_TTL,
        failure_ttl=settings.FAILURE_TTL,
        # For a worker that dies with the job: RQ requeues it. A job that fails is retried as well,
        # but finds that its request is waiting, and ends.
        retry=Retry(max=LIVES),
    )


def _description(request_id: str) -> str:
    return f"push request {request_id}"


def withdraw(push_job: PushJob) -> None:
    """Take the job of ``push_job`` off its queue, if it is still there.

    This only saves a worker some effort: a job whose row is no longer QUEUED does nothing. So it is
    not an error here if Redis is down.
    """
    try:
        job = Job.fetch(
            push_job.job_id,
            connection=queue(push_job.priority).connection,
            serializer=JSONSerializer,
        )
        job.delete()
    except (NoSuchJobError, InvalidJobOperation):
        pass
    except RedisError as error:
        logger.warning("could not take job %s off its queue: %s", push_job.job_id, error)


def lost(push_jobs: Iterable[PushJob]) -> list[PushJob]:
    """Return those that are lost: neither on a queue nor started a moment ago.

    The first thing a job does is to claim its request. One that was started long ago and has not
    done so was on a host that is gone, which RQ finds out much later.

    :raises broker.Unavailable: Redis does not answer.
    """
    gone: list[PushJob] = []
    for _, group in _by_queue(push_jobs):
        with queue(group[0].priority).connection.pipeline(transaction=False) as pipeline:
            for push_job in group:
                pipeline.hmget(Job.key_for(push_job.job_id), "status", "started_at")
            records = pipeline.execute()
        gone += [b for b, r in zip(group, records, strict=True) if not _will_run(*r)]
    return gone


def _will_run(status: bytes | None, started_at: bytes | None) -> bool:
    if status == JobStatus.QUEUED.value.encode():
        return True
    if status != JobStatus.STARTED.value.encode() or not started_at:
        return False
    age = timezone.now() - str_to_date(started_at)
    return bool(age < timedelta(seconds=conf().LOST_JOB_AFTER))


def _by_queue(push_jobs: Iterable[PushJob]) -> Iterator[tuple[str, list[PushJob]]]:
    names = conf().QUEUES
    ordered = sorted(push_jobs, key=lambda push_job: names[push_job.priority])
    for name, group in groupby(ordered, key=lambda push_job: names[push_job.priority]):
        yield name, list(group)


def callback_queue() -> Queue:
    """Return the RQ queue for callbacks."""
    return _named(conf().CALLBACK_QUEUE or conf().QUEUES[Priority.LOW])


def enqueue_callbacks(endpoint_ids: Iterable[UUID]) -> None:
    """Enqueue a job for each callback endpoint that has none on the queue.

    Call it after the commit that wrote the events. A note in Redis says that a job is on its way;
    the job removes the note before it looks, so it sees whatever was committed until then.

    :raises broker.Unavailable: Redis did not take them.
    """
    target = callback_queue()
    ids = list(endpoint_ids)
    with target.connection.pipeline(transaction=False) as pipeline:
        for endpoint_id in ids:
            pipeline.set(_note(endpoint_id), 1, nx=True, ex=NOTED_FOR)
        noted = pipeline.execute()
    silent = [endpoint_id for endpoint_id, is_new in zip(ids, noted, strict=True) if is_new]
    if silent:
        settings = conf()
        target.enqueue_many(
            [
                Queue.prepare_data(
                    CALLBACK_JOB,
                    args=(str(endpoint_id),),
                    job_id=f"callbacks-{endpoint_id.hex}-{uuid4().hex}",
                    description=f"callbacks to {endpoint_id}",
                    timeout=CALLBACK_JOB_TIMEOUT,
                    result_ttl=settings.RESULT_TTL,
                    failure_ttl=settings.FAILURE_TTL,
                    retry=Retry(max=LIVES),
                )
                for endpoint_id in silent
            ]
        )


def endpoint_of(job_id: str) -> UUID | None:
    """Return the callback endpoint that a job calls; None if it is not such a job."""
    return _id_in(job_id, "callbacks")


def request_of(job_id: str) -> UUID | None:
    """Return the push request of a job; None if it is not such a job."""
    return _id_in(job_id, "push")


def _id_in(job_id: str, kind: str) -> UUID | None:
    match = re.fullmatch(rf"{kind}-([0-9a-f]{{32}})-\w+", job_id)
    return UUID(match[1]) if match else None


def note_started(endpoint_id: UUID) -> None:
    """Remove the note: the job of the endpoint has started.

    :raises broker.Unavailable: Redis does not answer.
    """
    callback_queue().connection.delete(_note(endpoint_id))


def _note(endpoint_id: UUID) -> str:
    return key("callbacks", endpoint_id.hex)


def is_reachable() -> bool:
    """Return whether Redis answers."""
    try:
        return bool(connection().ping())
    except RedisError:
        return False


def depth() -> dict[str, int]:
    """Return how many jobs wait on each of our queues."""
    names = {*conf().QUEUES.values(), callback_queue().name}
    return {name: django_rq.get_queue(name).count for name in sorted(names)}
