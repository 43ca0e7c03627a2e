"""One peer on one workload, once."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import redis

from .environments import programs
from .marks import VARIABLE, Marks
from .monitor import Monitor
from .peers import Peer
from .posting import CONCURRENCY, CONNECTIONS, URL
from .programs import POLL, Memory, Program, TrialError, can_pin
from .results import CommandCount, Figures, percentile
from .workloads import DRAIN, LATENCY_MS, Workload

#: A trial is measured for so many times the seconds it was meant to take, at most.
PATIENCE = 2.0
#: Seconds until a worker must have run its first job.
BOOT = 60.0
#: Seconds that a worker has for the last jobs of a trickle.
PUNCTUAL = 10.0
#: Seconds that a worker is left alone after its first job of a trickle, to come to rest.
REST = 1.0
#: Seconds between two looks at the memory.
MEMORY_EVERY = 0.25
#: How much of a trial's time the one with MONITOR takes.
MONITORED = 0.5
WORKER_CORE, OTHER_CORE = 0, 1


class Laboratory:
    """The servers, the marks and the producers that all trials of a run share."""

    def __init__(self, folder: Path, *, latency_ms: int = LATENCY_MS) -> None:
        self.folder = folder
        self.latency_ms = latency_ms
        self.pinned = can_pin()
        self._producers: dict[str, Program] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Laboratory:
        before = os.sched_getaffinity(0)
        with self._stack:
            if self.pinned:
                # Everything but the workers inherits this.
                os.sched_setaffinity(0, {OTHER_CORE})
                self._stack.callback(os.sched_setaffinity, 0, before)
            memory = Path("/dev/shm")
            place = memory if memory.is_dir() else self.folder
            marks = place / f"pushjobs-marks-{os.getpid()}"
            self.marks = Marks.create(marks)
            self._stack.callback(marks.unlink)
            self.redis_url = self._serve("valkey")
            self.gateway_url = self._serve(
                "gateway", "--port", "0", "--latency-ms", str(self.latency_ms)
            )
            self.redis = redis.Redis.from_url(self.redis_url)
            self._stack.callback(self.redis.close)
            self.environment = os.environ | {
                "PYTHONPATH": str(Path(__file__).parent.parent),
                "DJANGO_SETTINGS_MODULE": "example_project.settings",
                "DEBUG": "0",
                "SECRET_KEY": "benchmarks",
                "DATABASE_URL": f"sqlite:///{self.folder / 'db.sqlite3'}",
                "REDIS_URL": self.redis_url,
                VARIABLE: str(marks),
                URL: self.gateway_url,
            }
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _serve(self, module: str, *arguments: str) -> str:
        """Start a server of the example project; return its URL."""
        server = Program(
            [programs("ours") / "python", "-m", f"example_project.{module}", *arguments],
            environment=os.environ,
            log=self.folder / f"{module}.log",
        )
        self._stack.callback(server.kill)
        if module == "gateway":
            # A provider does not wait for our database to let it have the core.
            with suppress(PermissionError):
                os.setpriority(os.PRIO_PROCESS, server.popen.pid, -10)
        return server.first_line()

    @property
    def valkey_version(self) -> str:
        info = self.redis.info("server")
        return str(info.get("valkey_version", info["redis_version"]))

    def reset(self) -> None:
        self.redis.flushall()
        self.marks.clear()

    def send(
        self, peer: Peer, job: str, count: int, *, first: int = 0, rate: float | None = None
    ) -> None:
        """Let the peer's own client send jobs; return once all are sent."""
        producer = self._producers.get(peer.key)
        if producer is None:
            producer = self._producers[peer.key] = Program(
                [programs(peer.environment) / "python", "-m", "benchmarks.producer",
                 f"benchmarks.apps.{peer.app}"],
                environment=self.environment | dict(peer.variables),
                log=self.folder / f"{peer.key}-producer.log",
                orders=True,
            )  # fmt: skip
            self._stack.callback(producer.kill)
        assert producer.popen.stdin is not None
        assert producer.popen.stdout is not None
        order = {"job": job, "first": first, "count": count, "rate": rate}
        try:
            producer.popen.stdin.write(json.dumps(order) + "\n")
            producer.popen.stdin.flush()
            answer = producer.popen.stdout.readline()
        except OSError:
            answer = ""
        if not answer:
            del self._producers[peer.key]
            raise producer.failure(f"the client of {peer.key} could not send")

    def end_producers(self) -> None:
        """End the clients; the next ones find the environment as it is by then."""
        while self._producers:
            self._producers.popitem()[1].kill()

    @contextmanager
    def worker(
        self, peer: Peer, concurrency: int, *, connections: int = 0, spread: bool = False
    ) -> Iterator[Program]:
        """Start a worker; it is gone afterwards.

        :param connections: to the gateway, at most; as many as jobs at once where it is 0.
        :param spread: it may use the core of the others as well.
        """
        posts = str(connections or concurrency)
        places = {"bin": str(programs(peer.environment)), "concurrency": str(concurrency)}
        worker = Program(
            [part.format(**places) for part in peer.command],
            environment=self.environment
            | dict(peer.variables)
            | {
                CONCURRENCY: places["concurrency"],
                CONNECTIONS: posts,
                "GATEWAY_CONNECTIONS": posts,
            },
            log=self.folder / f"{peer.key}-worker.log",
            cores=(WORKER_CORE, OTHER_CORE)[: 2 if spread else 1] if self.pinned else (),
        )
        try:
            yield worker
        finally:
            worker.kill()


def run(laboratory: Laboratory, peer: Peer, workload: Workload, seconds: float) -> Figures:
    """Run one trial.

    :raises TrialError: the peer did not do what it should.
    """
    count, limit = workload.size(peer, seconds), seconds * workload.stretch * PATIENCE
    laboratory.reset()
    if workload.rate is not None:
        return _trickle(laboratory, peer, workload, count)
    marks = laboratory.marks
    laboratory.send(peer, workload.job, count)
    spread = workload.job == "compute"
    with laboratory.worker(peer, workload.concurrency, spread=spread) as worker:
        worker.wait_until(
            lambda: marks.started_count(count), timeout=BOOT, what="its first job started"
        )
        done_before, cpu_before = marks.done_count(count), worker.cpu()
        memory = watch(worker, lambda: marks.done_count(count) == count, limit)
        cpu, done = worker.cpu() - cpu_before, marks.done_count(count)
    if done <= done_before:
        raise worker.failure(f"{done} jobs were done, too few to measure")
    times = list(zip(marks.started_times(count), marks.done_times(count), strict=True))
    finished = [(start, end) for start, end in times if end]
    begin = min(start for start, _ in times if start)
    lasted = [1_000 * (end - start) for start, end in finished]
    pushes = workload.job == "push"
    return Figures(
        rate=len(finished) / (max(end for _, end in finished) - begin),
        cpu_ms=1_000 * cpu / (done - done_before),
        rss=memory.rss,
        pss=memory.pss,
        largest=memory.largest,
        p50=percentile(lasted, 0.50) if pushes else None,
        p99=percentile(lasted, 0.99) if pushes else None,
    )


def _trickle(laboratory: Laboratory, peer: Peer, workload: Workload, count: int) -> Figures:
    """Jobs arrive one by one at a worker that has nothing else to do."""
    marks = laboratory.marks
    with laboratory.worker(peer, workload.concurrency) as worker:
        # The number 0 tells that it has booted, and counts no more.
        laboratory.send(peer, workload.job, 1, rate=workload.rate)
        worker.wait_until(lambda: marks.done_count(1), timeout=BOOT, what="its first job was done")
        time.sleep(REST)
        cpu_before, begin = worker.cpu(), time.monotonic()
        laboratory.send(peer, workload.job, count, first=1, rate=workload.rate)
        memory = watch(worker, lambda: marks.done_count(count + 1) > count, PUNCTUAL)
        cpu = worker.cpu() - cpu_before
    done = marks.done_times(count + 1)[1:]
    if not all(done):
        raise worker.failure(f"{done.count(0.0)} of {count} jobs were not done in time")
    sent = marks.sent_times(count + 1)[1:]
    waited = [1_000 * (end - start) for start, end in zip(sent, done, strict=True)]
    return Figures(
        rate=count / (max(done) - begin),
        cpu_ms=1_000 * cpu / count,
        rss=memory.rss,
        pss=memory.pss,
        largest=memory.largest,
        p50=percentile(waited, 0.50),
        p99=percentile(waited, 0.99),
    )


def count_commands(laboratory: Laboratory, peer: Peer, seconds: float) -> CommandCount:
    """Count the Redis commands of a drain, in a trial that is not timed."""
    count = DRAIN.size(peer, seconds * MONITORED)
    laboratory.reset()
    laboratory.send(peer, DRAIN.job, count)
    marks = laboratory.marks
    monitor = Monitor(laboratory.redis_url)
    since = time.monotonic()
    try:
        with laboratory.worker(peer, DRAIN.concurrency) as worker:
            worker.wait_until(
                lambda: marks.started_count(count), timeout=BOOT, what="its first job started"
            )
            since = min(filter(None, marks.started_times(count)))
            worker.wait_until(
                lambda: marks.done_count(count) == count, timeout=BOOT, what="all jobs were done"
            )
    finally:
        commands = monitor.stop(since)
    return CommandCount(sent=commands.sent / count, scripted=commands.scripted / count)


def watch(worker: Program, finished: Callable[[], bool], seconds: float) -> Memory:
    """Wait until ``finished``, at most ``seconds``; return the peak of the memory meanwhile.

    :raises TrialError: the worker ended.
    """
    deadline = time.monotonic() + seconds
    peak, look_at = Memory(), 0.0
    while not finished() and (now := time.monotonic()) < deadline:
        if worker.popen.poll() is not None:
            raise worker.failure("the worker ended")
        if now >= look_at:
            peak, look_at = peak.peak(worker.memory()), now + MEMORY_EVERY
        time.sleep(POLL)
    return peak.peak(worker.memory())


__all__ = ["Laboratory", "TrialError", "count_commands", "run"]
