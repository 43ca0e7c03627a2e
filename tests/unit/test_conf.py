from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from django.conf import settings
from django.test import override_settings

from django_pushjobs import jobs
from django_pushjobs.conf import CALLBACK_JOB, JOB, KEYS, Conf, conf


def test_defaults_are_in_force_where_nothing_is_set() -> None:
    with override_settings(PUSHJOBS={}):
        assert conf() == Conf()
        assert conf().DEFAULT_BACKEND in conf().BACKENDS
        del settings.PUSHJOBS
        assert conf() == Conf()


def test_settings_are_read_when_they_are_used() -> None:
    with override_settings(PUSHJOBS={"LEASE": 5.0}):
        assert conf().LEASE == 5.0
        assert conf().JOB_TIMEOUT == Conf().JOB_TIMEOUT
        with override_settings(PUSHJOBS={"LEASE": 6.0}):
            assert conf().LEASE == 6.0
        assert conf().LEASE == 5.0


def test_unknown_keys_are_left_to_the_checks() -> None:
    with override_settings(PUSHJOBS={"LEASSE": 5.0, 7: 1}):
        assert conf() == Conf()


def test_keys_are_the_fields() -> None:
    assert "LEASE" in KEYS
    assert all(key.isupper() for key in KEYS)


def test_nobody_changes_settings_in_passing() -> None:
    with pytest.raises(FrozenInstanceError):
        conf().LEASE = 1.0  # type: ignore[misc]


def test_defaults_are_not_shared() -> None:
    assert Conf().BACKENDS is not Conf().BACKENDS


def test_only_our_queues_and_those_that_are_named_are_restricted() -> None:
    given = {
        "CALLBACK_QUEUE": "callbacks",
        "ALLOWED_JOBS": {"pushjobs": ["shop.jobs.a"], "mine": ["shop.jobs.b"]},
    }
    ours = {"django_pushjobs.jobs.run_push_request", "django_pushjobs.jobs.call_endpoint"}
    with override_settings(PUSHJOBS=given):
        assert conf().allowed_jobs("pushjobs") == {*ours, "shop.jobs.a"}
        assert conf().allowed_jobs("callbacks") == ours
        assert conf().allowed_jobs("mine") == {"shop.jobs.b"}
        assert conf().allowed_jobs("default") is None


def test_what_is_allowed_is_what_there_is() -> None:
    assert {JOB, CALLBACK_JOB} == {
        f"{function.__module__}.{function.__name__}"
        for function in (jobs.run_push_request, jobs.call_endpoint)
    }
