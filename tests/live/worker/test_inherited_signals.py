"""Signals are obeyed even if whatever started the program ignores or blocks them."""

from __future__ import annotations

import os
import signal

import pytest

from tests.support.stack import Program, Stack
from tests.support.waiting import eventually

HOW = pytest.mark.parametrize("how", ["ignoring", "blocking"])


def start(stack: Stack, how: str, signals: str, *arguments: str) -> Program:
    return stack.python("tests/support/inheriting.py", how, signals, "manage.py", *arguments)


@HOW
def test_the_worker_obeys_every_signal(stack: Stack, how: str) -> None:
    signals = "TERM,INT,QUIT,HUP,USR1,TTIN,TTOU,CHLD,ALRM,ABRT"
    stack.gateway(latency_ms=60_000)
    worker = start(stack, how, signals, "rqgeventworker", "--processes=1")
    worker.says("is ready")
    (victim,) = worker.children()
    os.kill(victim, signal.SIGKILL)
    worker.says(f"process {victim} died: signal SIGKILL")
    worker.says("is ready", times=2)
    (veteran,) = worker.children()
    worker.signal(signal.SIGUSR1)
    worker.says("stacks of all greenlets and threads")
    worker.signal(signal.SIGHUP)
    worker.says(f"process {veteran} has been replaced")
    eventually(lambda: veteran not in worker.children(), what="the old process is gone")
    worker.signal(signal.SIGTTIN)
    worker.says("is ready", times=4)
    worker.signal(signal.SIGTTOU)
    eventually(lambda: len(worker.children()) == 1, what="one process is left")
    stack.submit(5)
    eventually(lambda: stack.gateway_stats()["in_flight"] == 5, what="pushes are in flight")
    worker.signal(signal.SIGINT)
    worker.says("warm stop: waiting for 5 jobs")
    worker.signal(signal.SIGTERM)
    assert worker.wait(20) == 0, worker.output
    assert "cold stop: terminating 5 jobs" in worker.output
    assert "died" not in worker.output.replace(f"process {victim} died", "")


@HOW
def test_a_process_that_hangs_is_dumped_and_killed(stack: Stack, how: str) -> None:
    worker = start(
        stack, how, "USR1,ABRT,QUIT", "rqgeventworker", "--processes=1", "--hang-timeout=2"
    )
    worker.says("is ready")
    (victim,) = worker.children()
    os.kill(victim, signal.SIGSTOP)
    worker.says(f"process {victim} died: signal SIGKILL")
    worker.says("is ready", times=2)


@HOW
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_the_relay_stops(stack: Stack, how: str, signum: int) -> None:
    relay = start(stack, how, "INT,TERM", "pushjobs_relay")
    relay.says("Relay: started")
    relay.signal(signum)
    assert relay.wait() == 0, relay.output


def test_the_relay_outlives_its_terminal_under_nohup(stack: Stack) -> None:
    relay = start(stack, "ignoring", "HUP", "pushjobs_relay")
    relay.says("Relay: started")
    relay.signal(signal.SIGHUP)
    relay.signal(signal.SIGTERM)
    assert relay.wait() == 0, relay.output


@HOW
def test_watching_the_workers_ends_on_ctrl_c(stack: Stack, how: str) -> None:
    watch = start(stack, how, "INT", "pushjobs_workers", "--watch=0.1")
    watch.says("No rqgeventworker process is running.", times=2)
    watch.signal(signal.SIGINT)
    assert watch.wait() == 0, watch.output
