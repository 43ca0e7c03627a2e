"""Letting a real worker run what is on the queues, until nothing is left."""

from __future__ import annotations

from rq import Queue

from tests.support.stack import Program, Stack


def queue_of(stack: Stack, name: str = "default") -> Queue:
    return Queue(name, connection=stack.redis)


def burst(stack: Stack, *arguments: str, **environment: str) -> Program:
    """Run one process of ``rqgeventworker`` until the queues are empty."""
    if not any(not argument.startswith("-") for argument in arguments):
        arguments = ("default", *arguments)
    worker = stack.manage(
        "rqgeventworker", *arguments, "--burst", "--processes=1", "--no-relay", **environment
    )
    assert worker.wait(60) == 0, worker.output
    return worker


def notes(stack: Stack) -> list[str]:
    """Return what jobs have noted, in the order in which they did."""
    return [note.decode() for note in stack.redis.lrange("notes", 0, -1)]
