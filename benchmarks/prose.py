"""What the page says in words."""

INTRODUCTION = """\
``rqgeventworker`` beside other ways to run jobs from Redis in Python: all in one run on one
machine, taking turns, so that whatever disturbs the machine disturbs all of them alike. The
numbers are medians. They compare the peers with each other and promise nothing about another
machine.
"""

METHOD = """\
Each peer runs one worker process, in a virtual environment of its own, in its newest release and
with its default settings, with these exceptions: the number of jobs at once is that of the
workload; peers that would log a line for each job log warnings only; connection pools are large
enough; Redis replies are parsed in C; arq, saq and streaq run on uvloop, as taskiq does by
default. Each keeps results as it does by default: RQ (and therefore ``rqgeventworker``), arq, saq
and streaq keep a record of every finished job for a while; Celery, dramatiq, huey and taskiq keep
none for a job that returns nothing. taskiq with a list, Celery and huey remove a job from Redis
before they run it, so that it is lost if the process dies; the others do not. *naive
GeventWorker* is what you get by subclassing RQ's worker: RQ's code for each job, in a greenlet,
one job after the other.

**Jobs that do nothing.** Enough jobs for about {seconds:g} seconds are sent in advance with the
peer's own client; then the worker starts. The clock runs from the start of the first job to the
end of the last one, so booting is not counted. A slow peer is stopped after twice the time, and
what it has done by then counts.

**HTTP pushes.** The same with jobs that POST a small JSON document, over kept-alive connections,
to a gateway on the same machine that answers after {latency} ms. With 100 in flight no peer can
do more than 500 a second, with 1,000 in flight no more than 5,000. The first and last moments,
when fewer are in flight, are counted too; with 100 in flight a trial takes twice as long, so that
they weigh less. The job is a plain function that uses geventhttpclient if the worker runs
greenlets, a coroutine that uses aiohttp if it runs on asyncio, and a function that uses the
standard library's client if it runs one job at a time. Workers of the last kind take no part with
1,000 in flight. The times in the table are those of single jobs, from start to end: whatever
exceeds {latency} ms is time that a job waits while the worker is busy with others.

**Trickle.** The worker has booted and is idle; 50 jobs a second arrive, again for twice as long.
The clock runs from before the call of the peer's client until the job is done, so it includes the
time the client takes to send.

**Jobs that compute.** One and two processes of ``rqgeventworker``, with jobs that compute for a
millisecond or two in plain Python and were sent in advance. Here the worker is not pinned to one
core; Valkey and the harness take what they need from both.

A job records its start and its end in shared memory, which takes almost no time and does not
involve Redis. CPU time is that of all processes of the worker, including those that have ended
and excluding the time to boot: it is counted from the first job on. Everything is done {rounds}
times, each time with all peers; each figure is a median by itself.
"""

MEMORY = """\
RSS and PSS are the peak of the sum over all processes of the worker, including the parent that
watches them: RSS counts a page that two processes share twice, PSS once.
"""

COMMANDS = """\
For each job that does nothing, at full load. A script is one command that the worker sends, and
as many as it runs inside Redis; ``INFO commandstats`` counts both, and so does *executed* here.
What the worker sends costs it time; what a script executes costs Redis much less than if it had
to read each command from a socket. Counted with ``MONITOR`` in a separate run that is not timed,
without what a worker does while it boots.
"""

RUN_IT = """\
::

    make bench

It creates the environments in ``benchmarks/.venvs``, measures, and writes this page. A partial run
prints its numbers and leaves the page as it is::

    make bench ARGS="--peers ours,rq-simple,dramatiq --workloads drain,trickle --rounds 1"
    make bench ARGS=--help
"""
