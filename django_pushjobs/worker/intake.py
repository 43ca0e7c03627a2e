"""How jobs come in: taken off their queues, many at once, or waited for."""

from __future__ import annotations

import time
from contextlib import nullcontext

import gevent
from gevent.event import Event
from redis.connection import ConnectionInterface
from redis.exceptions import RedisError
from rq.worker import DequeueStrategy

from .dequeuing import Dequeuer, PopCall
from .housekeeping import Housekeeper
from .pool import Pool
from .resilient_worker import UNREACHABLE
from .scripts import BATCH, POP
from .taken import Taken

#: Jobs to ask for after a call that returned fewer than it asked for: asking for many costs time
#: for which a single job would have to wait.
FEW = 4
#: Seconds within which the watchers must let go at the end.
LET_GO = 1.0


class Intake:
    """Takes jobs for a worker, and starts them there.

    While there is no job, a watcher for each queue waits in Redis. Behind its command it has sent
    the call that takes jobs, which Redis holds back until there is one: so an idle worker gets its
    next job without asking again. That call takes nothing if the worker is running something: a
    process that may be busy computing must not keep a job from another one.
    """

    def __init__(self, worker: Pool, dequeuer: Dequeuer, housekeeper: Housekeeper) -> None:
        self.worker = worker
        self.dequeuer = dequeuer
        self.housekeeper = housekeeper
        #: The queues were empty when last checked, and no watcher has seen a job since.
        self.dry = False
        self._appetite = BATCH
        self._hungry = Event()
        self._ahead = False
        self._closing = False
        #: Redis' number of the connection of each watcher, by key of the queue.
        self._clients: dict[str, int] = {}
        self._watchers: list[gevent.Greenlet[..., None]] = []

    def start(self, *, ahead: bool) -> None:
        """Begin to watch.

        :param ahead: watchers may take jobs themselves; False if jobs are counted.
        """
        self._ahead = ahead
        self._watchers = [gevent.spawn(self._watch, key) for key in self.worker.queue_keys()]

    def take(self, limit: int) -> int:
        """Take up to ``limit`` jobs off the queues and start them; return how many.

        :raises redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: Redis does not
            answer.
        """
        limit = min(limit, self._appetite)
        call = self.dequeuer.prepare(self.worker._ordered_queues, limit, in_turn=self._in_turn)
        taken = self._start(self.dequeuer.pop(call))
        self.dry = taken < limit
        self._appetite = FEW if self.dry else BATCH
        return taken

    def want(self) -> None:
        """Have the watchers wait for jobs: there is room for some."""
        self._hungry.set()

    def close(self) -> None:
        """Take no more jobs. What Redis has given to a watcher meanwhile is started."""
        self._closing = True
        self._hungry.set()
        deadline = time.monotonic() + LET_GO
        try:
            while any(self._watchers) and time.monotonic() < deadline:
                # Again and again: a watcher may be just about to wait.
                for client in list(self._clients.values()):
                    self.worker.connection.client_unblock(client)
                gevent.joinall(self._watchers, timeout=LET_GO / 20)
            if any(self._watchers):
                gevent.killall(self._watchers)
                self.worker.start_all(self.dequeuer.strays())
        except RedisError as error:
            self.worker.log.warning(
                "Worker %s: could not release the queue watchers: %s", self.worker.name, error
            )
        gevent.killall(self._watchers)

    @property
    def _in_turn(self) -> bool:
        return self.worker._dequeue_strategy != DequeueStrategy.DEFAULT

    def _start(self, batch: list[Taken] | None) -> int:
        worker = self.worker
        if batch is None:
            self.housekeeper.suspend()
            return 0
        worker.start_all(batch)
        for taken in batch:
            worker.reorder_queues(reference_queue=taken.queue)
        return len(batch)

    # Waiting.

    def _watch(self, key: str) -> None:
        """Wait for jobs on one queue, for ever."""
        pool = self.worker.connection.connection_pool
        while not self._closing:
            try:
                connection = pool.get_connection()
                try:
                    self._attend(connection, key)
                finally:
                    self._clients.pop(key, None)
                    # While it is blocked, nobody else can use it.
                    connection.disconnect()
                    pool.release(connection)
            except UNREACHABLE:
                gevent.sleep(1.0)  # the loop notices and reports it
            except RedisError:
                self.worker.log.exception("Worker %s: watching %s failed", self.worker.name, key)
                gevent.sleep(1.0)

    def _attend(self, connection: ConnectionInterface, key: str) -> None:
        connection.send_command("SCRIPT", "LOAD", POP)
        connection.read_response()
        connection.send_command("CLIENT", "ID")
        self._clients[key] = connection.read_response()
        while True:
            self._hungry.wait()
            if self._closing:
                return
            call = self._call_ahead() if self._ahead else None
            with call or nullcontext():
                seen, batch = self._await_job(connection, key, call)
            if batch:
                self._start(batch)
                if call is None or len(batch) == call.limit:
                    self.worker.look_for_jobs()
                # They begin to run before we go on.
                gevent.sleep(0)
            elif seen:
                # The job is for the loop, which may have no room, or for another process.
                self._hungry.clear()
                self._start(batch)
                self.worker.look_for_jobs()

    def _call_ahead(self) -> PopCall:
        worker = self.worker
        return self.dequeuer.prepare(
            worker._ordered_queues,
            min(FEW, worker.concurrency),
            in_turn=self._in_turn,
            when_idle=True,
        )

    def _await_job(
        self, connection: ConnectionInterface, key: str, call: PopCall | None
    ) -> tuple[bool, list[Taken] | None]:
        """Return whether there is a job that somebody has to take, and those that were taken.

        Moving the first id to where it already is is a way to wait for it without taking it.
        """
        timeout = self.worker.dequeue_timeout
        commands: list[tuple[object, ...]] = [("BLMOVE", key, key, "LEFT", "LEFT", timeout)]
        if call is not None:
            commands.append(call.command)
        connection.send_packed_command(connection.pack_commands(commands))
        seen = connection.read_response() is not None
        if call is None:
            return seen, []
        answer = connection.read_response()
        # An empty answer: another process was faster, and nothing is left.
        return seen and answer != [], call.read(answer)
