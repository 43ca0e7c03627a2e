"""What people do to endpoints: register, change, rotate, pause, resume, test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import cached_property
from typing import Final

from django.db import transaction
from django.utils import timezone

from ..conf import conf
from ..exceptions import DestinationRefused, FieldError, InvalidCallbackEndpoint
from ..models import ApiClient, CallbackEndpoint, CallbackEvent, EndpointState, EventType
from ..models.encryption import encrypt
from ..transport import destinations
from . import dispatch, outbox, signing

#: Endpoints of one client at most: each of them gets every event.
MAX_ENDPOINTS: Final = 20

#: What an endpoint may choose to hear of. A test comes whatever it has chosen.
CHOICES: Final = tuple(t.value for t in EventType if t is not EventType.ENDPOINT_TEST)


def register(
    client: ApiClient,
    url: str,
    *,
    event_types: Sequence[str] = (),
    lookup: destinations.Lookup | None = None,
) -> tuple[CallbackEndpoint, str]:
    """Register an endpoint, and return it with its secret, which is shown this once.

    :param event_types: what it hears of; none means everything.
    :param lookup: see :func:`~django_pushjobs.transport.destinations.resolve`.
    :raises InvalidCallbackEndpoint: the URL may not be called, an event type is not known, or
        the client has :data:`MAX_ENDPOINTS` already.
    """
    errors = [*_wrong_url(url, lookup), *_wrong_types(event_types)]
    if client.callback_endpoints.count() >= MAX_ENDPOINTS:
        errors.append(FieldError("", f"there are {MAX_ENDPOINTS} endpoints already", "too_many"))
    if errors:
        raise InvalidCallbackEndpoint(errors)
    secret = signing.new_secret()
    endpoint = CallbackEndpoint.objects.create(
        client=client,
        url=url,
        event_types=list(dict.fromkeys(event_types)),
        encrypted_secret=encrypt(secret),
    )
    outbox.directory.forget()
    return endpoint, secret


def change(
    endpoint: CallbackEndpoint,
    *,
    url: str | None = None,
    event_types: Sequence[str] | None = None,
    lookup: destinations.Lookup | None = None,
) -> CallbackEndpoint:
    """Change what is given; see :func:`register`. The state stays as it is."""
    errors = [
        *(_wrong_url(url, lookup) if url is not None else ()),
        *(_wrong_types(event_types) if event_types is not None else ()),
    ]
    if errors:
        raise InvalidCallbackEndpoint(errors)
    if url is not None:
        endpoint.url = url
    if event_types is not None:
        endpoint.event_types = list(dict.fromkeys(event_types))
    endpoint.save(update_fields=["url", "event_types"])
    outbox.directory.forget()
    return endpoint


def rotate(endpoint: CallbackEndpoint) -> str:
    """Give ``endpoint`` a new secret, and return it.

    The one before it signs as well for ``CALLBACK_ROTATION`` seconds, so that the third party can
    change over; the one before that does not sign any more.
    """
    secret = signing.new_secret()
    endpoint.encrypted_previous_secret = endpoint.encrypted_secret
    endpoint.encrypted_secret = encrypt(secret)
    overlap = timedelta(seconds=conf().CALLBACK_ROTATION)
    endpoint.previous_secret_expires_at = timezone.now() + overlap
    endpoint.save(
        update_fields=[
            "encrypted_secret",
            "encrypted_previous_secret",
            "previous_secret_expires_at",
        ]
    )
    return secret


def pause(endpoint: CallbackEndpoint) -> None:
    """Call ``endpoint`` no more until it is resumed; its events wait. A disabled one stays so."""
    rows = CallbackEndpoint.objects.filter(pk=endpoint.pk, state=EndpointState.ACTIVE)
    if rows.update(state=EndpointState.PAUSED):
        endpoint.state = EndpointState.PAUSED
    outbox.directory.forget()


def resume(endpoint: CallbackEndpoint) -> None:
    """Call ``endpoint`` again, whether it was paused or disabled, as if it had never failed.

    What it missed while it was disabled is not sent by itself: see
    :func:`~.replays.replay_since`.
    """
    fresh: dict[str, object] = {
        "state": EndpointState.ACTIVE,
        "reason": "",
        "disabled_at": None,
        "failing_since": None,
        "resting_until": None,
    }
    for name, value in fresh.items():
        setattr(endpoint, name, value)
    endpoint.save(update_fields=list(fresh))
    outbox.directory.forget()
    dispatch.enqueue([endpoint.pk])


def delete(endpoint: CallbackEndpoint) -> None:
    """Delete ``endpoint`` with its events."""
    endpoint.delete()
    outbox.directory.forget()


def send_test(endpoint: CallbackEndpoint) -> CallbackEvent:
    """Send a test event to ``endpoint``, and return it; look at its attempts later."""
    event = outbox.new_event(
        endpoint, EventType.ENDPOINT_TEST, {"endpoint_id": str(endpoint.pk), "test": True}
    )
    using = endpoint._state.db or "default"
    with transaction.atomic(using=using):
        outbox.store([event], using=using)
    return event


class CallbackUrls:
    """Which URLs the push requests of one client may name; reads its endpoints once, if at all."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    @cached_property
    def _endpoints(self) -> list[CallbackEndpoint]:
        return list(self._client.callback_endpoints.only("url"))

    def errors_in(self, url: str) -> Iterator[FieldError]:
        """Yield what is wrong with a ``callback_url``; an empty one is always right."""
        if not url:
            return
        if not self._client.may_set_callback_url:
            yield FieldError("/callback_url", "this client may not set it", "not_allowed")
        elif not any(endpoint.has_origin_of(url) for endpoint in self._endpoints):
            detail = "none of the client's endpoints is at this host"
            yield FieldError("/callback_url", detail, "unknown_origin")


def _wrong_url(url: str, lookup: destinations.Lookup | None) -> list[FieldError]:
    try:
        destinations.check(url, lookup=lookup)
    except DestinationRefused as refused:
        return [FieldError("/url", refused.detail, refused.code)]
    return []


def _wrong_types(event_types: Sequence[str]) -> list[FieldError]:
    return [
        FieldError(f"/event_types/{index}", f"is none of {', '.join(CHOICES)}", "invalid_choice")
        for index, event_type in enumerate(event_types)
        if event_type not in CHOICES
    ]
