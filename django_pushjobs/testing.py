"""Helpers for the tests of projects that push, and of packages with a backend."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from django.core.checks import CheckMessage

from .backends import BasePushBackend, Message, Outcome, OutcomeClass, Target, locmem
from .backends.outcomes import MAX_CODE, MAX_DETAIL, MAX_PROVIDER_ID, storable

__all__ = ["BackendContract", "captured_pushes"]


@contextmanager
def captured_pushes(*results: Outcome | Exception) -> Iterator[list[locmem.Pushed]]:
    """Yield a list of what the backend ``locmem`` pushes in this process within the block.

    ::

        with captured_pushes() as pushes:
            deliver(request.pk)
        assert [push.message.title for push in pushes] == ["Hello"]

    :param results: how the next pushes end, see :func:`.backends.locmem.script`.
    """
    locmem.clear()
    locmem.script(*results)
    pushes: list[locmem.Pushed] = []
    before, locmem.outbox = locmem.outbox, pushes
    try:
        yield pushes
    finally:
        locmem.outbox = before
        locmem.clear()


class BackendContract:
    """What every push backend must fulfil. Subclass it with a test case, or alone for pytest::

        class TestSmsBackend(BackendContract):
            address = "+49301234567"

            def make(self, **options):
                return SmsBackend(alias="sms", url=gateway.url, **options)

    The provider that :meth:`make` connects to must accept every push.
    """

    #: An address that the provider accepts.
    address = "an-address"

    def make(self, **options: object) -> BasePushBackend:
        """Return a new backend whose provider accepts everything.

        :param options: passed on to the backend's ``__init__``.
        """
        raise NotImplementedError

    def make_unreachable(self) -> BasePushBackend | None:
        """Return a backend whose provider cannot be reached, or None if there is no such thing."""
        return None

    def message(self) -> Message:
        """Return a message with every field filled in."""
        return Message(
            request_id=uuid4(),
            title="Grüße, 世界 🚀",
            body="two\nlines",
            data={"order": 17, "nested": {"list": [1, None, True]}},
            options={},
            priority="high",
            collapse_key="order-17",
            expires_at=datetime.now(UTC) + timedelta(hours=1),
            traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )

    def target(self) -> Target:
        """Return a new target."""
        return Target(delivery_id=uuid4(), address=self.address)

    def test_an_accepted_push_is_ok(self) -> None:
        backend = self.make()
        try:
            outcome = backend.push(self.message(), self.target())
        finally:
            backend.close()
        self.assert_well_formed(outcome)
        assert outcome.kind is OutcomeClass.OK, outcome

    def test_a_message_with_only_a_request_id_is_accepted(self) -> None:
        backend = self.make()
        message = Message(request_id=uuid4())
        try:
            assert backend.validate(message) == []
            assert backend.push(message, self.target()).kind is OutcomeClass.OK
        finally:
            backend.close()

    def test_a_repeat_is_accepted_like_the_first(self) -> None:
        backend, message, target = self.make(), self.message(), self.target()
        try:
            outcomes = [backend.push(message, target) for _ in range(2)]
        finally:
            backend.close()
        assert [outcome.kind for outcome in outcomes] == [OutcomeClass.OK] * 2

    def test_the_message_is_not_changed(self) -> None:
        backend, message = self.make(), self.message()
        before = copy.deepcopy(message)
        try:
            backend.validate(message)
            backend.push(message, self.target())
        finally:
            backend.close()
        assert message == before

    def test_many_may_push_at_once(self) -> None:
        backend, message = self.make(), self.message()
        targets = [self.target() for _ in range(64)]
        try:
            with ThreadPoolExecutor(8) as pool:
                outcomes = list(pool.map(lambda target: backend.push(message, target), targets))
        finally:
            backend.close()
        assert {outcome.kind for outcome in outcomes} == {OutcomeClass.OK}

    def test_a_payload_above_the_limit_is_an_error_that_names_a_field(self) -> None:
        backend = self.make()
        try:
            assert backend.validate(self.message()) == []
            if backend.max_payload is None:
                return
            errors = backend.validate(replace(self.message(), body="x" * backend.max_payload))
        finally:
            backend.close()
        assert errors
        assert all(error.pointer.startswith("/") for error in errors)

    def test_an_unknown_option_is_an_error(self) -> None:
        self.assert_refused(no_such_option=True)

    def test_every_answer_names_its_source(self) -> None:
        backend = self.make()
        try:
            for row in backend.answers:
                assert row.source, f"{row} needs a source: where does the provider say so?"
                digits = row.answer.replace("x", "0")
                answer = int(digits) if digits.isdecimal() else row.answer
                outcome = backend.answers.outcome(answer, row.reason)
                self.assert_well_formed(outcome)
                if outcome.kind is not OutcomeClass.OK:
                    assert outcome.code, f"{row} needs a code"
                    assert outcome.detail, f"{row} needs a sentence"
        finally:
            backend.close()

    def test_the_settings_may_say_what_an_answer_means(self) -> None:
        backend = self.make()
        has_rows = any(backend.answers)
        backend.close()
        if not has_rows:
            self.assert_refused(answers={"418": "drop"})
            return
        backend = self.make(answers={"418": "drop", "418 Teapot": "config"})
        try:
            assert backend.answers.outcome(418).kind is OutcomeClass.DROP
            assert backend.answers.outcome(418, "Teapot").kind is OutcomeClass.CONFIG
        finally:
            backend.close()
        self.assert_refused(answers={"418": "never"})

    def test_the_system_check_finds_nothing_wrong(self) -> None:
        backend = self.make()
        try:
            messages = list(backend.check())
        finally:
            backend.close()
        for message in messages:
            assert isinstance(message, CheckMessage), "check() returns messages of django.core"
            assert message.id, f"{message} needs an id, so that it can be silenced"
            assert not message.is_serious(), message

    def test_a_provider_that_cannot_be_reached_is_an_outcome(self) -> None:
        backend = self.make_unreachable()
        if backend is None:
            return
        try:
            outcome = backend.push(self.message(), self.target())
        finally:
            backend.close()
        self.assert_well_formed(outcome)
        assert outcome.is_transient, outcome
        assert outcome.code, "a failure needs a code"

    def test_closing_twice_does_no_harm(self) -> None:
        backend = self.make()
        backend.push(self.message(), self.target())
        backend.close()
        backend.close()

    def assert_refused(self, **options: object) -> None:
        """Make sure that the backend does not accept ``options``."""
        try:
            self.make(**options)
        except (TypeError, ValueError):
            return
        raise AssertionError(f"a backend must refuse the OPTIONS {options}")

    def assert_well_formed(self, outcome: Outcome) -> None:
        """Make sure that an outcome can be stored, and contains nothing that is private."""
        assert isinstance(outcome, Outcome)
        assert len(outcome.code) <= MAX_CODE, f"a code has at most {MAX_CODE} characters"
        assert len(outcome.provider_id) <= MAX_PROVIDER_ID, (
            f"a provider's id has at most {MAX_PROVIDER_ID} characters"
        )
        assert len(outcome.detail) <= MAX_DETAIL, f"a detail has at most {MAX_DETAIL} characters"
        wait = outcome.retry_after
        assert wait is None or (wait >= 0 and math.isfinite(wait)), "retry_after is in seconds"
        assert storable(outcome) == outcome, (
            "an outcome must not contain what a database cannot store: U+0000, lone surrogates, "
            "and in a provider's id whatever is not printable"
        )
        said = f"{outcome.code} {outcome.detail}"
        for secret in (self.address, self.message().title, self.message().body):
            assert secret not in said, "an outcome must not contain the payload or the address"
