"""Error mails hold neither keys nor secrets: an error is raised wherever one passes, and Django's
own report of it is read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest
from django.core.signals import got_request_exception
from django.test import Client
from django.views.debug import (
    ExceptionReporter,
    SafeExceptionReporterFilter,
    get_default_exception_reporter_filter,
)
from pytest_django import Settings

from django_pushjobs import services
from django_pushjobs.api import tracing, waiting
from django_pushjobs.backends import BasePushBackend, Message, Target, backends
from django_pushjobs.callbacks import endpoints, signing
from django_pushjobs.callbacks.courier import Courier
from django_pushjobs.callbacks.sender import send
from django_pushjobs.delivery.attempts import deliver
from django_pushjobs.models import ApiKey, PushRequest, keys
from django_pushjobs.models.encryption import decrypt, encrypt
from tests.support.callbacks import INSECURE, an_endpoint
from tests.support.third_party import ThirdParty

pytestmark = pytest.mark.django_db(transaction=True)

ISSUED = ("prefix.the-secret-of-a-key", "prefix", "hash")
SECRET = signing.PREFIX + "c2VjcmV0LW9mLWFuLWVuZHBvaW50LW9mLTMyLWI="
ADDRESS = "address-of-anna"


class Broken(Exception):
    pass


def broken(*args: Any, **kwargs: Any) -> NoReturn:
    raise Broken


def text_of(request: Any, error: tuple[Any, Any, Any]) -> str:
    reporter = ExceptionReporter(request, *error, is_email=True)
    html: str = reporter.get_traceback_html() + reporter.get_traceback_text()
    assert "Broken" in html
    return html


@pytest.fixture
def reports() -> Iterator[list[str]]:
    """The reports of errors in views, as they happen."""
    found: list[str] = []

    def read(request: Any, **kwargs: Any) -> None:
        found.append(text_of(request, sys.exc_info()))  # type: ignore[arg-type]

    got_request_exception.connect(read)
    yield found
    got_request_exception.disconnect(read)


def report_of(failing: Callable[[], object]) -> str:
    """Return the report of an error outside of views, without the frames of the test."""
    try:
        failing()
    except Broken as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        return text_of(None, (type(error), error, trace))
    raise AssertionError("nothing was raised")


@pytest.fixture(autouse=True)
def _known(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.PUSHJOBS = INSECURE
    monkeypatch.setattr(signing, "new_secret", lambda: SECRET)
    get_default_exception_reporter_filter.cache_clear()
    yield
    get_default_exception_reporter_filter.cache_clear()


# Calls of the API.

VIEWS = "django_pushjobs.api.views"


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
@pytest.mark.parametrize(
    "place",
    [
        (keys._generator, "verify"),
        (ApiKey, "note_use"),
        (tracing, "_traceparent"),
        (waiting, "parse_http_list"),
        (f"{VIEWS}.push_requests.PushRequestViewSet.get_object",),
    ],
)
def test_a_call_keeps_its_key(
    reports: list[str], monkeypatch: pytest.MonkeyPatch, place: Any, header: str
) -> None:
    acme = ThirdParty()
    monkeypatch.setattr(*place, broken)
    value = f"Bearer {acme.secret}" if header == "Authorization" else acme.secret
    url = "/api/v1/push-requests/01890a5d-ac96-774b-bcce-b302099a8057"
    assert acme.http.get(url, headers={header: value}).status_code == 500
    [report] = reports
    assert acme.secret not in report


def test_a_filter_of_the_project_is_extended(
    reports: list[str], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DEFAULT_EXCEPTION_REPORTER_FILTER = f"{__name__}.Careless"
    get_default_exception_reporter_filter.cache_clear()
    monkeypatch.setattr(tracing, "_traceparent", broken)
    acme = ThirdParty()
    assert acme.get().status_code == 500
    [report] = reports
    assert acme.secret not in report
    assert settings.SECRET_KEY in report


class Careless(SafeExceptionReporterFilter):
    """A filter that hides nothing."""

    def cleanse_setting(self, key: Any, value: Any) -> Any:
        return value


@pytest.mark.parametrize("rotate", [False, True])
@pytest.mark.parametrize(
    "place",
    [
        ("cryptography.fernet.MultiFernet.encrypt",),
        ("django.db.models.query.QuerySet.update",),
        (f"{VIEWS}.callbacks.CallbackEndpointViewSet.get_serializer",),
        ("rest_framework.renderers.json.dumps",),
    ],
)
def test_endpoints_keep_their_secret(
    reports: list[str], monkeypatch: pytest.MonkeyPatch, place: Any, rotate: bool
) -> None:
    acme = ThirdParty()
    endpoint, _ = an_endpoint("http://127.0.0.1:9/", acme.client)
    path = f"/callback-endpoints/{endpoint.pk}/rotate" if rotate else "/callback-endpoints"
    monkeypatch.setattr(*place, broken)
    acme.call("post", path, None if rotate else {"url": "http://127.0.0.1:9/"})
    assert reports
    for report in reports:
        assert SECRET not in report
        assert acme.secret not in report


# The admin.


@pytest.mark.parametrize(
    "place",
    [
        ("django_pushjobs.models.keys.ApiKeyManager.create",),
        ("django_pushjobs.admin.clients.ApiClientAdmin.log_change",),
        ("django_pushjobs.admin.base.TemplateResponse",),
        ("django.template.backends.django.Template.render",),
    ],
)
@pytest.mark.parametrize("rotate", [False, True])
def test_a_new_key_is_kept(
    reports: list[str],
    monkeypatch: pytest.MonkeyPatch,
    admin_client: Client,
    place: Any,
    rotate: bool,
) -> None:
    acme = ThirdParty()
    monkeypatch.setattr(keys._generator, "generate", lambda: ISSUED)
    monkeypatch.setattr(*place, broken)
    admin_client.raise_request_exception = False
    url = f"/admin/django_pushjobs/apiclient/{acme.client.pk}/keys/"
    if rotate:
        admin_client.post(f"{url}{acme.key.pk}/rotate/", {"hours": "1"})
    else:
        admin_client.post(f"{url}add/", {"name": "tests", "scopes": ["read"]})
    assert reports
    assert ISSUED[0] not in reports[0]


@pytest.mark.parametrize("rotate", [False, True])
@pytest.mark.parametrize(
    "place",
    [
        ("django_pushjobs.admin.callback_endpoints.CallbackEndpointAdmin.log_change",),
        ("django_pushjobs.admin.callback_endpoints.CallbackEndpointAdmin.log_addition",),
        ("django_pushjobs.admin.base.TemplateResponse",),
        ("django.template.backends.django.Template.render",),
    ],
)
def test_a_new_secret_is_kept(
    reports: list[str],
    monkeypatch: pytest.MonkeyPatch,
    admin_client: Client,
    place: Any,
    rotate: bool,
) -> None:
    acme = ThirdParty()
    endpoint, _ = an_endpoint("http://127.0.0.1:9/", acme.client)
    monkeypatch.setattr(*place, broken)
    admin_client.raise_request_exception = False
    url = "/admin/django_pushjobs/callbackendpoint/"
    if rotate:
        admin_client.post(f"{url}{endpoint.pk}/rotate/")
    else:
        admin_client.post(f"{url}add/", {"client": acme.client.pk, "url": "http://127.0.0.1:9/"})
    assert all(SECRET not in report for report in reports)
    logs_otherwise = place[0].endswith("log_addition") if rotate else "log_change" in place[0]
    assert bool(reports) is not logs_otherwise


# Outside of views.


def test_signing_keeps_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint, _ = an_endpoint("http://127.0.0.1:9/")
    event = endpoints.send_test(endpoint)
    monkeypatch.setattr("django_pushjobs.callbacks.signing.hmac.digest", broken)
    report = report_of(lambda: Courier([SECRET], size=1).post(event, endpoint.url))
    assert SECRET not in report
    monkeypatch.setattr("django_pushjobs.callbacks.courier.Origins", broken)
    assert SECRET not in report_of(lambda: Courier([SECRET], size=1))
    assert SECRET not in report_of(lambda: send(endpoint.pk))


def test_encryption_keeps_the_secret(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    stored = encrypt(SECRET)
    settings.SECRET_KEY = "a-key-of-the-site"
    monkeypatch.setattr("cryptography.fernet.MultiFernet.__init__", broken)
    for failing in (lambda: encrypt(SECRET), lambda: decrypt(stored)):
        report = report_of(failing)
        assert SECRET not in report
        assert settings.SECRET_KEY not in report


class Failing(BasePushBackend):
    """Fails where the class says, with the options of a provider."""

    in_init = True

    def __init__(self, *, alias: str, credentials: str, **kwargs: Any) -> None:
        super().__init__(alias=alias, **kwargs)
        self._credentials = credentials
        if self.in_init:
            raise Broken

    def push(self, message: Message, target: Target) -> NoReturn:
        token = f"Bearer {self._credentials} for {target.address}"
        raise Broken(len(token))


@pytest.fixture
def failing(settings: Settings) -> None:
    # Reports of jobs have no request, so only a setting can say what they leave out.
    settings.DEFAULT_EXCEPTION_REPORTER_FILTER = "django_pushjobs.reporting.ExceptionReporterFilter"
    entry = {"BACKEND": f"{__name__}.Failing", "OPTIONS": {"credentials": SECRET}}
    settings.PUSHJOBS = INSECURE | {"BACKENDS": {"failing": entry}, "DEFAULT_BACKEND": "failing"}


@pytest.mark.usefixtures("failing")
def test_making_a_backend_keeps_its_options() -> None:
    assert SECRET not in report_of(lambda: backends["failing"])


@pytest.mark.usefixtures("failing")
@pytest.mark.parametrize("count", [1, 3])
def test_a_push_keeps_everything(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, count: int
) -> None:
    monkeypatch.setattr(Failing, "in_init", False)
    monkeypatch.setattr("django_pushjobs.delivery.attempts.cooperative", lambda: True)
    recipients = [f"{ADDRESS}-{n}" for n in range(count)]
    row = services.submit(recipients=recipients, title="a-title-for-anna")
    PushRequest.objects.update(status="queued")
    deliver(row.pk)
    errors = [record.exc_info for record in caplog.records if record.exc_info]
    assert len(errors) == count
    for error in errors:
        report = text_of(None, error)  # type: ignore[arg-type]
        for secret in (SECRET, ADDRESS, "a-title-for-anna"):
            assert secret not in report
