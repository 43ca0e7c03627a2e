"""One job run at once: ``python -m gevent.monkey handing_over.py URL JOB``."""

from __future__ import annotations

import sys

import django
from redis import Redis
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

django.setup()

from django_pushjobs.worker.gevent_worker import GeventWorker  # noqa: E402

connection = Redis.from_url(sys.argv[1])
queue = Queue("pushjobs", connection=connection, serializer=JSONSerializer)
job = Job.fetch(sys.argv[2], connection=connection, serializer=JSONSerializer)
worker = GeventWorker([queue], connection=connection, serializer=JSONSerializer)
worker.register_birth()
worker.execute_job(job, queue)
