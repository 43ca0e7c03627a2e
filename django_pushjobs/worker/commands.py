"""RQ's commands to a worker over pub/sub: ``rq.command.send_*_command``."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from .endings import Ended, Killed, Stopped
from .pool import Pool, Run


def obey(worker: Pool, payload: dict[str, Any]) -> None:
    """Do what the command says; RQ expects no reply, so what cannot be done is logged."""
    command = payload.get("command")
    if command == "stop-job":
        end(worker, Stopped, lambda run: run.started.job.id == payload.get("job_id"))
    elif command == "stop-execution":
        stop_execution(worker, str(payload.get("execution_id")))
    elif command == "kill-horse":
        end(worker, Killed, lambda run: True)
    elif command == "shutdown":
        worker.log.info("Worker %s: received the shutdown command", worker.name)
        worker.dismissed = True
        worker.request_stop(signal.SIGINT, None)
    else:
        worker.log.warning("Worker %s: ignoring unknown command %r", worker.name, command)


def stop_execution(worker: Pool, execution_id: str) -> None:
    """End one running job; it is ``STOPPED``."""
    end(worker, Stopped, lambda run: run.started.execution.id == execution_id)


def end(worker: Pool, how: type[Ended], wanted: Callable[[Run], bool]) -> None:
    """End the running jobs that are ``wanted``."""
    runs = [run for run in worker.running.values() if wanted(run)]
    if not runs:
        worker.log.warning(
            "Worker %s: ignoring a command, no such job is running here", worker.name
        )
    for run in runs:
        run.end(how)
