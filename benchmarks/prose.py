"""What the page says in words."""

INTRODUCTION = """\
``rqgeventworker`` beside the other ways to run jobs from Redis in Python: all of them in one run on
one machine, taking turns, so that whatever disturbs the machine disturbs them alike. The numbers
are medians. They compare; they promise nothing about another machine.
"""

METHOD = """\
Every peer runs one worker process in a virtual environment of its own, with its newest release,
and as it is by default, with these exceptions: the number of jobs at once is that of the workload;
logging is no finer than warnings where the peer would write lines for each job; connection pools
are large enough; Redis replies are parsed in C; arq, saq and streaq run on uvloop, as taskiq does
by itself. Each keeps results as it does by default: RQ, and so ``rqgeventworker``, arq, saq and
streaq keep a record of every finished job for a while; Celery, dramatiq, huey and taskiq keep none
of a job that returns nothing. taskiq with a list, Celery and huey are done with a job in Redis
before they run it, so that it is lost with the process; the others are not. *naive GeventWorker* is
what subclassing RQ's worker gives: RQ's code for each job, in a greenlet, one after the other.

**Jobs that do nothing.** Enough jobs for about {seconds:g} seconds are sent in advance with the
peer's own client; then the worker starts. The time goes from the start of the first job to the end
of the last one, so booting is not in it. A slow peer is stopped after twice the time, and what
it has done by then counts.

**HTTP pushes.** The same with jobs that POST a small JSON document over kept-alive connections to
a gateway on the same machine, which answers after {latency} ms. With 100 in flight nobody can do
more than 500 a second, with 1,000 nobody more than 5,000. The first and the last moments, when
fewer are in flight, count; with 100 in flight a trial takes twice as long, so that they count less.
The job is a plain function that uses
geventhttpclient where the worker runs greenlets, a coroutine that uses aiohttp where it runs on
asyncio, and the standard library's client where it runs one job at a time. Those take no part
with 1,000 in flight. The times in the table are those of single jobs, from start to done: what
exceeds {latency} ms is what a job waits while the worker is busy with others.

**Trickle.** The worker has booted and has nothing to do; 50 jobs a second arrive, for twice as long
too. The time goes from before the call of the peer's client until the job is done, so it contains
what the client takes to send.

**Jobs that compute.** One and two processes of ``rqgeventworker``, with jobs that compute for a
millisecond or two in plain Python, sent in advance. Here the worker is not kept to one core; what
Valkey and the harness need, they take from the two.

A job notes when it started and when it was done in shared memory, which takes no time worth
speaking of and no Redis. CPU time is that of all the worker's processes, those that have ended
included, without booting: counted from the first job on. All of this is done {rounds} times, each
time with all peers; each figure is the median by itself.
"""

MEMORY = """\
RSS and PSS are the peak of the sum over all processes of the worker, the parent that watches
included: RSS counts a page that two processes share twice, PSS once.
"""

COMMANDS = """\
For each job that does nothing, at full load. A script is one command that the worker sends and as
many as it runs inside Redis; ``INFO commandstats`` counts both together, as *executed* does here.
What the worker sends costs it time; what scripts execute costs Redis much less than if it had to
read each command from a socket. Counted with ``MONITOR`` in a run of its own, which is not timed,
without what a worker does while it boots.
"""

RUN_IT = """\
::

    make bench

It makes the environments below ``benchmarks/.venvs``, measures, and writes this page. Parts of it
print their numbers and leave the page as it is::

    make bench ARGS="--peers ours,rq-simple,dramatiq --workloads drain,trickle --rounds 1"
    make bench ARGS=--help
"""
