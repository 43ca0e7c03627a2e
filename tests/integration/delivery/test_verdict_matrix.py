"""Every row of every table, through the real protocols: what one address meets concerns nobody
else, and what all addresses meet pauses what it is about, and only if it is about our credentials.

The long form, at a rate and with a real worker, is ``python -m benchmarks.verdicts``.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import timedelta

import pytest
from pytest_django import Settings

from django_pushjobs import relay, services
from django_pushjobs.delivery.attempts import deliver
from django_pushjobs.models import Delivery, Pause, PushRequest
from django_pushjobs.states import DeliveryStatus, Status
from tests.support.answer_cases import BACKENDS, CASES, IMPOSSIBLE, Case
from tests.support.answering import SETTINGS, Providers, lead_here
from tests.support.answering import providers as run_providers
from tests.support.scripted import begin, everything_is_due

pytestmark = pytest.mark.django_db(transaction=True)

MAX_ATTEMPTS = 2
#: Seconds until a push to somebody who says nothing ends: the fewer the quicker, but the answers to
#: other pushes have to come in that time.
PATIENCE = 0.5


@pytest.fixture(scope="module")
def providers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Providers]:
    with run_providers(tmp_path_factory.mktemp("providers")) as running:
        yield running


@pytest.fixture
def case(
    request: pytest.FixtureRequest,
    providers: Providers,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> Case:
    chosen: Case = request.param
    entry = providers.entry(chosen, patience=PATIENCE)
    settings.PUSHJOBS = (
        settings.PUSHJOBS
        | SETTINGS
        | {"BACKENDS": {"one": entry, "all": entry}, "DEFAULT_BACKEND": "one"}
        | {"MAX_ATTEMPTS": MAX_ATTEMPTS, "RETRY_BASE": 0.001}
    )
    monkeypatch.setattr(socket, "getaddrinfo", lead_here(socket.getaddrinfo))
    return chosen


def submit(case: Case, alias: str, recipient: object) -> PushRequest:
    return services.submit(
        recipients=[recipient], backend=alias, title="Hello", options=case.options
    )


def delivery_of(row: PushRequest) -> Delivery:
    return Delivery.objects.get(request=row)


# One test, since to empty the database takes longer than all of it.
@pytest.mark.parametrize("case", CASES, ids=str, indirect=True)
def test_it_reaches_no_further_than_what_it_is_about(case: Case, providers: Providers) -> None:
    if not case.is_of_all:
        one_address_meets_it(case, providers)
    all_addresses_meet_it(case, providers)


def one_address_meets_it(case: Case, providers: Providers) -> None:
    """It ends as the table says, and the others are pushed to."""
    bad = submit(case, "one", providers.recipient(case, 0))
    attempts = MAX_ATTEMPTS if case.is_tried_again else 1
    for number in range(1, attempts + 1):
        deliver(bad.pk)
        met = delivery_of(bad)
        assert (met.error_code, met.attempts) == (case.code, number), met.error
        if number < attempts:
            assert met.status == DeliveryStatus.RETRYING
            assert met.next_attempt_at is not None
            assert met.next_attempt_at - met.finished_at >= timedelta(seconds=case.row.wait or 0)
        # Nor is anything announced, although nothing was accepted meanwhile.
        assert not Pause.objects.exists()
        everything_is_due()
        relay.sweep()
    assert met.status == case.end
    bad.refresh_from_db()
    assert bad.is_final
    good = submit(case, "one", providers.recipient(case, 1, is_good=True))
    assert deliver(good.pk) is Status.SUCCEEDED, delivery_of(good).error


def all_addresses_meet_it(case: Case, providers: Providers) -> None:
    """Two owners do; then somebody else waits without an attempt, or is pushed to. If five do, a
    provider may be away."""
    for number in range(2):
        row = submit(case, "all", providers.recipient(case, number))
        deliver(row.pk)
        met = delivery_of(row)
        assert (met.error_code, met.attempts) == (case.code, 1), met.error
    paused = list(Pause.objects.values_list("backend", "origin"))
    assert paused == ([("all", case.origin)] if case.pauses else [])
    if case.pauses or not case.is_of_all:
        begin()
        third = submit(case, "all", providers.recipient(case, 2, is_good=True))
        deliver(third.pk)
        third.refresh_from_db()
        assert third.status == (Status.PENDING if case.pauses else Status.SUCCEEDED)
        assert third.counted_attempts == (0 if case.pauses else 1)
    if case.pauses:
        return
    for number in range(3, 8):
        deliver(submit(case, "all", providers.recipient(case, number)).pk)
    paused = list(Pause.objects.values_list("backend", "origin", "is_outage"))
    assert paused == ([("all", case.origin, True)] if case.is_outage else [])
    begin()
    fourth = submit(case, "all", providers.recipient(case, 8, is_good=True))
    deliver(fourth.pk)
    fourth.refresh_from_db()
    if not case.is_of_all or case.is_outage:
        assert fourth.status == (Status.PENDING if case.is_outage else Status.SUCCEEDED)
        assert fourth.counted_attempts == (0 if case.is_outage else 1)


def test_every_row_is_a_case_or_has_a_reason_why_not() -> None:
    rows = {
        (backend, row.answer, row.reason)
        for backend, kind in BACKENDS.items()
        for row in kind.answer_rows
    }
    cases = {(case.backend, case.row.answer, case.row.reason) for case in CASES}
    assert cases | IMPOSSIBLE.keys() == rows
    assert not cases & IMPOSSIBLE.keys()
