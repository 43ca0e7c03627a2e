"""Jobs on the queue: as RQ itself would have written them."""

from __future__ import annotations

import zlib
from uuid import uuid4

from redis import Redis
from rq import Queue, Retry
from rq.job import Job

from django_pushjobs.broker import queues
from django_pushjobs.conf import conf


def test_writes_what_rq_would_write(redis: Redis) -> None:
    """The jobs are made from one template; RQ's own way has to come to the same."""
    jobs = [queues.PushJob(uuid4(), "normal", 0) for _ in range(3)]
    queues.enqueue(jobs)
    target = queues.queue("normal")
    ours = [redis.hgetall(Job.key_for(job.job_id)) for job in jobs]
    order = redis.lrange(target.key, 0, -1)
    redis.flushdb()
    settings = conf()
    target.enqueue_many(
        [
            Queue.prepare_data(
                queues.JOB,
                args=(str(job.request_id),),
                job_id=job.job_id,
                description=f"push request {job.request_id}",
                timeout=settings.JOB_TIMEOUT,
                result_ttl=settings.RESULT_TTL,
                failure_ttl=settings.FAILURE_TTL,
                retry=Retry(max=queues.LIVES),
            )
            for job in jobs
        ]
    )
    theirs = [redis.hgetall(Job.key_for(job.job_id)) for job in jobs]
    assert order == redis.lrange(target.key, 0, -1)
    assert redis.smembers(target.redis_queues_keys) == {target.key.encode()}
    for mine, other in zip(ours, theirs, strict=True):
        for moment in (b"created_at", b"enqueued_at"):
            assert mine.pop(moment)
            assert other.pop(moment)
        # It is compressed faster, and not to the same bytes.
        assert zlib.decompress(mine.pop(b"data")) == zlib.decompress(other.pop(b"data"))
        assert mine == other
