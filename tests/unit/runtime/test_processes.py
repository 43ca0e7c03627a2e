"""What a process has for itself, and what its threads give one another."""

from __future__ import annotations

import os
import threading
import warnings

import pytest

from django_pushjobs.runtime.greenlets import Promise
from django_pushjobs.runtime.processes import PerProcess


def test_what_a_process_makes_it_makes_once() -> None:
    one = PerProcess(object)
    assert one.made is None
    assert one() is one()


def test_a_forked_process_makes_its_own() -> None:
    one = PerProcess(object)
    inherited = one()
    with warnings.catch_warnings():
        # Python warns of a fork beside threads; this child does nothing but compare.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        os._exit(0 if one.made is None and one() is not inherited else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert one() is inherited


def test_a_promise_is_waited_for() -> None:
    promise: Promise[int] = Promise()
    threading.Thread(target=promise.keep, args=[1]).start()
    assert promise.result() == 1


def test_a_promise_that_failed_raises() -> None:
    promise: Promise[int] = Promise()
    promise.fail(LookupError("gone"))
    with pytest.raises(LookupError, match="gone"):
        promise.result()
