"""Requests whose job was lost get another one, and no others do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import django_rq
import pytest
from django.utils import timezone
from redis import Redis
from rq.serializers import JSONSerializer

from django_pushjobs import services
from django_pushjobs.lifecycle import dispatch
from django_pushjobs.models import PushRequest
from django_pushjobs.relay.loop import Relay

pytestmark = pytest.mark.django_db(transaction=True)


def jobs() -> list[Any]:
    return django_rq.get_queue("pushjobs", serializer=JSONSerializer).jobs


class TestLostJobs:
    def job(self, row: PushRequest, status: str, started: timedelta) -> None:
        """Make its job look as a worker has left it."""
        (job,) = jobs()
        job.started_at = timezone.now() - started
        job.set_status(status)
        job.save()
        PushRequest.objects.update(queued_at=timezone.now() - timedelta(minutes=1))

    def test_enqueues_what_was_started_by_a_worker_that_died_before_it_could_claim(self) -> None:
        row = services.submit(recipients=["token"])
        self.job(row, "started", timedelta(minutes=1))
        assert dispatch.enqueue_lost(10, 10, timezone.now()) == 1

    @pytest.mark.parametrize("status", ["started", "queued"])
    def test_leaves_alone_what_will_run(self, status: str) -> None:
        row = services.submit(recipients=["token"])
        self.job(row, status, timedelta(0))
        assert dispatch.enqueue_lost(10, 10, timezone.now()) == 0

    def test_enqueues_what_redis_has_forgotten(self, redis: Redis) -> None:
        services.submit(recipients=["token"])
        PushRequest.objects.update(queued_at=timezone.now() - timedelta(minutes=1))
        redis.flushdb()
        assert dispatch.enqueue_lost(10, 10, timezone.now()) == 1
        assert len(jobs()) == 1

    def test_a_redis_that_lost_its_memory_is_noticed_at_once(self, redis: Redis) -> None:
        relay = Relay()
        relay.turn()
        services.submit(recipients=["token"])
        # With everything else goes the lease of the relay.
        redis.flushdb()
        relay.turn()
        assert len(jobs()) == 1
        relay.close()

    def test_what_was_queued_a_moment_ago_is_not_looked_at_each_time(self, redis: Redis) -> None:
        relay = Relay()
        relay.turn()
        row = services.submit(recipients=["token"])
        redis.delete(*redis.keys("rq:job:*"))
        relay.turn()
        row.refresh_from_db()
        assert row.enqueues == PushRequest().enqueues
        relay.close()
