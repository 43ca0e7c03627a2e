"""What RQ tells a worker over pub/sub: ``rq.command.send_*_command``."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .execution import Ended, JobRun, Killed, Stopped

if TYPE_CHECKING:
    from .gevent_worker import GeventWorker


def obey(worker: GeventWorker, payload: dict[str, Any]) -> None:
    """Do what the command says; RQ sends no reply, so what cannot be done is logged."""
    command = payload.get("command")
    if command == "stop-job":
        end(worker, Stopped, lambda run: run.started.job.id == payload.get("job_id"))
    elif command == "stop-execution":
        stop_execution(worker, str(payload.get("execution_id")))
    elif command == "kill-horse":
        end(worker, Killed, lambda run: True)
    elif command == "shutdown":
        worker.log.info("Worker %s: received the command to shut down", worker.name)
        worker.dismissed = True
        worker.request_stop(signal.SIGINT, None)
    else:
        worker.log.warning("Worker %s: unknown command %r, ignored", worker.name, command)


def stop_execution(worker: GeventWorker, execution_id: str) -> None:
    end(worker, Stopped, lambda run: run.started.execution.id == execution_id)


def end(worker: GeventWorker, how: type[Ended], wanted: Callable[[JobRun], bool]) -> None:
    """End the running jobs that are ``wanted``."""
    runs = [run for run in worker.running.values() if wanted(run)]
    if not runs:
        worker.log.warning("Worker %s: no such job runs here, command ignored", worker.name)
    for run in runs:
        run.end(how)
