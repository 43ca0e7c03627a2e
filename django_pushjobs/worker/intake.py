"""How jobs come in: taken off their queues, many at once, or waited for."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

import gevent
from gevent.event import Event
from redis.connection import ConnectionInterface
from redis.exceptions import RedisError
from rq.worker import DequeueStrategy

from .bookkeeping import BATCH, Call, Taken
from .persistence import UNREACHABLE
from .scripts import POP

if TYPE_CHECKING:
    from .gevent_worker import GeventWorker

#: Jobs that are asked for where there were fewer than asked for the last time: to ask for many
#: costs time that a single job would wait for.
FEW = 4
#: Seconds in which those who wait are to let go at the end.
LET_GO = 1.0


class Intake:
    """Takes jobs for a worker, and starts them there.

    While there is no job, a watcher for each queue waits in Redis. Behind its command it has sent
    the call that takes jobs, which Redis keeps until there is one: so an idle worker gets its
    next job without asking again. That call takes nothing where the worker runs something: a
    process that may be busy computing shall not keep a job from another one.
    """

    def __init__(self, worker: GeventWorker) -> None:
        self.worker = worker
        #: The queues were empty at the last look, and no watcher has seen a job since.
        self.dry = False
        self._appetite = BATCH
        self._hungry = Event()
        self._ahead = False
        self._closing = False
        #: Redis' number of the connection of each watcher.
        self._clients: dict[str, int] = {}
        self._watchers: list[gevent.Greenlet[..., None]] = []

    def start(self, *, ahead: bool) -> None:
        """Begin to watch.

        :param ahead: jobs may be taken by whoever waits for them; False where they are numbered.
        """
        self._ahead = ahead
        self._watchers = [gevent.spawn(self._watch, key) for key in self.worker.queue_keys()]

    def take(self, limit: int) -> int:
        """Take up to ``limit`` jobs off the queues and start them; return how many."""
        worker = self.worker
        limit = min(limit, self._appetite)
        call = worker.bookkeeping.prepare(worker._ordered_queues, limit, in_turn=self._in_turn)
        taken = self._start(worker.bookkeeping.pop(call))
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
                # Again and again: one may be about to wait.
                for client in list(self._clients.values()):
                    self.worker.connection.client_unblock(client)
                gevent.joinall(self._watchers, timeout=LET_GO / 20)
            if any(self._watchers):
                gevent.killall(self._watchers)
                self.worker.start_all(self.worker.bookkeeping.strays())
        except RedisError as error:
            self.worker.log.warning("Worker %s: no orderly end: %s", self.worker.name, error)
        gevent.killall(self._watchers)

    @property
    def _in_turn(self) -> bool:
        return self.worker._dequeue_strategy != DequeueStrategy.DEFAULT

    def _start(self, batch: list[Taken] | None) -> int:
        worker = self.worker
        if batch is None:
            worker.house.suspend()
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
                    # Nobody else can use it while it is blocked.
                    connection.disconnect()
                    pool.release(connection)
            except UNREACHABLE:
                gevent.sleep(1.0)  # the loop notices and reports it
            except RedisError:
                self.worker.log.exception("Worker %s: cannot watch %s", self.worker.name, key)
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
                # They run before we go on.
                gevent.sleep(0)
            elif seen:
                # It is for the loop, which may have no room, or for somebody else.
                self._hungry.clear()
                self._start(batch)
                self.worker.look_for_jobs()

    def _call_ahead(self) -> Call:
        worker = self.worker
        return worker.bookkeeping.prepare(
            worker._ordered_queues,
            min(FEW, worker.concurrency),
            in_turn=self._in_turn,
            when_idle=True,
        )

    def _await_job(
        self, connection: ConnectionInterface, key: str, call: Call | None
    ) -> tuple[bool, list[Taken] | None]:
        """Return whether there is a job that somebody has to take, and those that were taken.

        Moving the first id to where it is already is a way to wait for it without taking it.
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
