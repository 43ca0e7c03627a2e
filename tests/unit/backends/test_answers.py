"""The table of answers: every row of every provider, what is looked up, what settings may say."""

from __future__ import annotations

import pytest

from django_pushjobs.backends import BasePushBackend, OutcomeClass, Row
from django_pushjobs.backends.answers import Answers
from django_pushjobs.backends.apns import APNsBackend
from django_pushjobs.backends.dummy import DummyBackend
from django_pushjobs.backends.fcm import FCMBackend
from django_pushjobs.backends.http import HTTPBackend
from django_pushjobs.backends.webpush import WebPushBackend

PROVIDERS: dict[str, type[BasePushBackend]] = {
    "http": HTTPBackend,
    "apns": APNsBackend,
    "fcm": FCMBackend,
    "webpush": WebPushBackend,
}

#: Provider -> class -> answers, with a reason if there is one, as the providers document them.
EXPECTED = {
    "http": {
        "ok": "200 201 202 204 299",
        "drop": "410",
        "throttle": "429",
        "retry": "408 409 425 500 502 503 504 599 timeout connect_timeout",
        "reconnect": (
            "connection_lost unreachable tls_failed bad_answer proxy_denied proxy_failed"
        ),
        "config": "401 403 bad_certificate proxy_refused",
        "fail": "301 302 307 400 404 405 413 422",
    },
    "apns": {
        "ok": "200",
        "drop": "410/Unregistered 410/ExpiredToken 400/BadDeviceToken",
        "config": (
            "400/BadTopic 400/MissingTopic 400/TopicDisallowed "
            "403/ExpiredProviderToken 403/InvalidProviderToken 403/MissingProviderToken "
            "403/Forbidden 403/BadCertificate 403/BadCertificateEnvironment "
            "403/UnrelatedKeyIdInToken 403/BadEnvironmentKeyIdInToken bad_certificate"
        ),
        "fail": (
            "400/BadCollapseId 400/BadExpirationDate 400/BadMessageId 400/BadPriority "
            "400/DeviceTokenNotForTopic 400/topic_refused "
            "400/InvalidPushType 400/PayloadEmpty 400/DuplicateHeaders 404/BadPath "
            "405/MethodNotAllowed 413/PayloadTooLarge 400/SomethingNew"
        ),
        "throttle": "429/TooManyRequests",
        "retry": "429/TooManyProviderTokenUpdates timeout",
        "reconnect": (
            "500/InternalServerError 503/ServiceUnavailable 503/Shutdown 400/IdleTimeout "
            "goaway refused_stream stream_reset connection_lost"
        ),
    },
    "fcm": {
        "ok": "200",
        "drop": (
            "404/UNREGISTERED 400/INVALID_REGISTRATION 403/SENDER_ID_MISMATCH "
            "400/apns.BadDeviceToken 404/apns.Unregistered 404/apns.ExpiredToken 404/apns.410"
        ),
        "fail": (
            "400/INVALID_ARGUMENT 413 400 400/apns.PayloadTooLarge 400/apns.BadPriority "
            "400/apns.BadCollapseId 400/apns.other"
        ),
        "config": (
            "403/PERMISSION_DENIED 401/UNAUTHENTICATED 401/THIRD_PARTY_AUTH_ERROR 401 403 404 "
            "bad_credentials"
        ),
        "throttle": "429/QUOTA_EXCEEDED 429/RESOURCE_EXHAUSTED 429",
        "retry": "500/INTERNAL 503/UNAVAILABLE 502 no_token timeout",
        "reconnect": "connection_lost",
    },
    "webpush": {
        "ok": "200 201 202 204",
        "drop": (
            "404 410 400/VapidPkHashMismatch 403/VapidPkHashMismatch 401/key_mismatch "
            "403/key_mismatch bad_subscription"
        ),
        "config": "400 401 403 403/BadJwtToken 401/109 401/110",
        "fail": "413 413/104 415 406 400/wns_headers 400/111 400/112 400/113",
        "throttle": "429 406/wns_throttled",
        "retry": "500 502 503 503/201 503/202 timeout unresolvable",
        "reconnect": "connection_lost",
    },
}


def answers_of(provider: str, overrides: dict[str, str] | None = None) -> Answers:
    backend = PROVIDERS[provider]
    return Answers(backend.answer_rows, provider=backend.provider_name, overrides=overrides)


@pytest.mark.parametrize(
    ("provider", "kind", "answer"),
    [
        (provider, kind, answer)
        for provider, kinds in EXPECTED.items()
        for kind, answers in kinds.items()
        for answer in answers.split()
    ],
)
def test_what_an_answer_means(provider: str, kind: str, answer: str) -> None:
    status, _, reason = answer.partition("/")
    outcome = answers_of(provider).outcome(int(status) if status.isdigit() else status, reason)
    assert outcome.kind == kind
    assert bool(outcome.code) == bool(outcome.detail) == (outcome.kind is not OutcomeClass.OK)
    assert "{" not in outcome.detail


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_row_can_be_reached_and_names_its_source(provider: str) -> None:
    rows = PROVIDERS[provider].answer_rows
    assert len({(row.answer, row.reason) for row in rows}) == len(rows)
    assert any(row.answer == "*" and not row.reason for row in rows)
    for row in rows:
        assert row.source, row
        assert len(row.code) <= 64


def test_a_reason_that_is_not_in_the_table_is_not_repeated() -> None:
    outcome = answers_of("apns").outcome(400, "alice-at-home")
    assert (outcome.kind, outcome.code) == (OutcomeClass.FAIL, "http_400")
    assert "alice" not in repr(outcome)


def test_a_wait_belongs_to_what_is_tried_again() -> None:
    answers = answers_of("fcm")
    assert answers.outcome(429, "QUOTA_EXCEEDED").retry_after == 60
    assert answers.outcome(429, "QUOTA_EXCEEDED", retry_after=7).retry_after == 7
    assert answers.outcome(404, "UNREGISTERED", retry_after=7).retry_after is None


def test_the_provider_may_have_taken_what_was_not_answered() -> None:
    answers = answers_of("http")
    assert answers.outcome("timeout").unknown
    assert not answers.outcome("connect_timeout").unknown
    assert answers.outcome("connect_timeout").code == "timeout"
    assert answers.outcome("tls_failed").code == "unreachable"


def test_settings_lay_rows_over_the_table() -> None:
    answers = answers_of("apns", {"410": "fail", "400 NewReason": "config", "5xx": "retry"})
    assert answers.outcome(410).kind is OutcomeClass.FAIL
    assert answers.outcome(410, "Unregistered").kind is OutcomeClass.DROP
    assert answers.outcome(500).kind is OutcomeClass.RETRY
    new = answers.outcome(400, "NewReason")
    assert (new.kind, new.code) == (OutcomeClass.CONFIG, "NewReason")
    assert answers_of("apns").outcome(410).kind is OutcomeClass.DROP


@pytest.mark.parametrize(
    "wrong", [{"410": "gone"}, {"41": "drop"}, {"": "drop"}, {410: "drop"}, {"410": None}, ["410"]]
)
def test_settings_that_mean_nothing_are_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="answers"):
        answers_of("http", wrong)  # type: ignore[arg-type]


def test_a_backend_takes_the_rows_as_an_option() -> None:
    backend = HTTPBackend(alias="a", url="http://localhost/", answers={"404": "drop"})
    assert backend.answers.outcome(404).kind is OutcomeClass.DROP
    with pytest.raises(ValueError, match="answers"):
        HTTPBackend(alias="a", url="http://localhost/", answers={"404": "never"})


def test_a_table_needs_a_row_for_any_answer() -> None:
    with pytest.raises(ValueError, match=r"'\*'"):
        Answers([Row("200", "", OutcomeClass.OK, "here")], provider="it")


def test_a_later_row_replaces_an_earlier_one() -> None:
    rows = [
        Row("*", "", OutcomeClass.FAIL, "the standard"),
        Row("404", "", OutcomeClass.FAIL, "the standard"),
        Row("404", "", OutcomeClass.DROP, "the provider"),
    ]
    answers = Answers(rows, provider="it")
    assert answers.outcome(404).kind is OutcomeClass.DROP
    assert answers.outcome(404).detail == "it answered 404 Not Found"


def test_a_backend_without_a_table_takes_no_rows() -> None:
    with pytest.raises(ValueError, match="answers"):
        DummyBackend(alias="a", answers={"404": "drop"})
    with pytest.raises(LookupError):
        DummyBackend(alias="a").answers.outcome(404)
