"""What is done to endpoints: register, change, rotate, pause, resume, disable, test, delete."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import cached_property
from itertools import islice
from typing import Any, Final

from django.db import router, transaction
from django.db.models import F
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from ..conf import conf
from ..db.deadlocks import atomically
from ..exceptions import MAX_ERRORS, DestinationRefused, FieldError, InvalidCallbackEndpoint
from ..models import (
    ApiClient,
    CallbackEndpoint,
    CallbackEvent,
    CallbackStatus,
    DisabledReason,
    EndpointState,
    EventType,
)
from ..models.encryption import encrypt
from ..transport import destinations, lookups
from ..transport.lookups import Lookup
from . import dispatch, outbox, signing, verification
from .endpoint_cache import touch

logger = logging.getLogger(__name__)

#: Endpoints per client: every one of them gets every event.
MAX_ENDPOINTS: Final = 20

#: The event types that an endpoint may choose from. It gets tests and challenges whatever it has
#: chosen.
CHOICES: Final = tuple(
    t.value
    for t in EventType
    if t not in (EventType.ENDPOINT_TEST, EventType.ENDPOINT_VERIFICATION)
)


@sensitive_variables("secret")
def register(
    client: ApiClient,
    url: str,
    *,
    event_types: Sequence[str] = (),
    trusted: bool = True,
    lookup: Lookup | None = None,
) -> tuple[CallbackEndpoint, str]:
    """Register an endpoint, and return it with its secret, which cannot be read again.

    :param event_types: what it is called for; none means everything.
    :param trusted: whether the caller vouches for it that the URL wants to be called; if not, it
        has to answer a challenge first, see :mod:`.verification`.
    :param lookup: see :func:`~django_pushjobs.transport.destinations.resolve`.
    :raises InvalidCallbackEndpoint: the URL may not be called, an event type is unknown, or the
        client already has :data:`MAX_ENDPOINTS`.
    """
    errors = [
        *_url_errors(url, client.pk, lookup),
        *islice(_type_errors(event_types), MAX_ERRORS + 1),
    ]
    if errors:
        raise InvalidCallbackEndpoint(errors)
    secret = signing.new_secret()
    using = router.db_for_write(CallbackEndpoint)

    def store() -> CallbackEndpoint:
        # Calls at the same time count one after the other: whoever writes first holds the row, or
        # on SQLite the database.
        ApiClient.objects.using(using).filter(pk=client.pk).update(is_active=F("is_active"))
        existing = CallbackEndpoint.objects.using(using)
        if existing.filter(client=client).count() >= MAX_ENDPOINTS:
            detail = f"there are already {MAX_ENDPOINTS} endpoints"
            raise InvalidCallbackEndpoint([FieldError("", detail, "too_many")])
        endpoint = existing.create(
            client=client,
            url=url,
            event_types=list(dict.fromkeys(event_types)),
            encrypted_secret=encrypt(secret),
            **(_verified() if trusted else {}),
        )
        if not trusted:
            verification.challenge(endpoint, using=using, after=verification.HEAD_START)
        touch(using=using)
        return endpoint

    return atomically(store, using=using), secret


def change(
    endpoint: CallbackEndpoint,
    *,
    url: str | None = None,
    event_types: Sequence[str] | None = None,
    trusted: bool = True,
    lookup: Lookup | None = None,
) -> CallbackEndpoint:
    """Change what is given, with the parameters and errors of :func:`register`.

    The state stays as it is, but for that of a URL that has to answer a challenge first.

    :raises CallbackEndpoint.DoesNotExist: here and below, it has just been deleted.
    """
    errors = [
        *(_url_errors(url, endpoint.client_id, lookup) if url is not None else ()),
        *islice(_type_errors(event_types or ()), MAX_ERRORS + 1),
    ]
    if errors:
        raise InvalidCallbackEndpoint(errors)
    is_moved = url is not None and url != endpoint.url
    if url is not None:
        endpoint.url = url
    if event_types is not None:
        endpoint.event_types = list(dict.fromkeys(event_types))
    using = router.db_for_write(CallbackEndpoint)
    with transaction.atomic(using=using):
        _save(endpoint, "url", "event_types")
        if is_moved and not trusted and endpoint.state != EndpointState.DISABLED:
            verification.challenge(endpoint, using=using)
        elif is_moved and not trusted:
            # It is challenged when it is resumed.
            endpoint.verified_at = None
            _save(endpoint, "verified_at")
        touch(using=using)
    return endpoint


@sensitive_variables("secret")
def rotate(endpoint: CallbackEndpoint) -> str:
    """Give ``endpoint`` a new secret, and return it.

    For ``CALLBACK_ROTATION`` seconds callbacks are signed with the previous secret as well, so that
    the third party can switch over. An older one is not used any more.
    """
    secret = signing.new_secret()
    endpoint.encrypted_previous_secret = endpoint.encrypted_secret
    endpoint.encrypted_secret = encrypt(secret)
    overlap = timedelta(seconds=conf().CALLBACK_ROTATION)
    endpoint.previous_secret_expires_at = timezone.now() + overlap
    _save(
        endpoint,
        "encrypted_secret",
        "encrypted_previous_secret",
        "previous_secret_expires_at",
    )
    return secret


def pause(endpoint: CallbackEndpoint) -> None:
    """Do not call ``endpoint`` until it is resumed; its events wait. A disabled one stays as is."""
    using = router.db_for_write(CallbackEndpoint)
    rows = CallbackEndpoint.objects.using(using).filter(pk=endpoint.pk, state=EndpointState.ACTIVE)
    if rows.update(state=EndpointState.PAUSED):
        endpoint.state = EndpointState.PAUSED


def resume(endpoint: CallbackEndpoint) -> None:
    """Call ``endpoint`` again, whether it was paused or disabled, as if it had never failed.

    If its URL was not verified, it is challenged first. Events that it missed while it was disabled
    are not sent on their own; see :func:`~.replays.replay_since`.
    """
    is_verified = endpoint.verified_at is not None
    fresh: dict[str, object] = {
        "state": EndpointState.ACTIVE if is_verified else EndpointState.UNVERIFIED,
        "reason": "",
        "disabled_at": None,
        "failing_since": None,
        "resting_until": None,
    }
    for name, value in fresh.items():
        setattr(endpoint, name, value)
    using = router.db_for_write(CallbackEndpoint)
    with transaction.atomic(using=using):
        _save(endpoint, *fresh)
        if not is_verified:
            verification.challenge(endpoint, using=using)
        touch(using=using)
    dispatch.enqueue([endpoint.pk])


def disable(endpoint: CallbackEndpoint, reason: DisabledReason, *, using: str) -> None:
    """Disable ``endpoint`` in the current transaction.

    Its pending events are set aside. The client's other endpoints, if any, are told.
    """
    now = timezone.now()
    endpoint.state, endpoint.reason, endpoint.disabled_at = EndpointState.DISABLED, reason, now
    endpoint.save(using=using, update_fields=["state", "reason", "disabled_at"])
    pending = endpoint.events.using(using).pending()
    pending.update(status=CallbackStatus.FAILED, next_attempt_at=None, finished_at=now)
    others = CallbackEndpoint.objects.using(using).filter(client=endpoint.client_id)
    data = {
        "endpoint_id": str(endpoint.pk),
        "reason": reason.value,
        "failing_since": endpoint.failing_since and endpoint.failing_since.isoformat(),
    }
    outbox.store(
        [
            outbox.new_event(other, EventType.ENDPOINT_DISABLED, data)
            for other in others.filter(state=EndpointState.ACTIVE).exclude(pk=endpoint.pk)
            if other.wants(EventType.ENDPOINT_DISABLED)
        ],
        using=using,
    )
    touch(using=using)
    logger.warning("callback endpoint %s has been disabled: %s", endpoint.pk, reason.value)


def delete(endpoint: CallbackEndpoint) -> None:
    """Delete ``endpoint`` with its events."""
    using = router.db_for_write(CallbackEndpoint)

    def remove() -> None:
        # Whoever writes what came of its attempts holds this row meanwhile: so there is no attempt
        # that we do not see, and none is written later.
        CallbackEndpoint.objects.using(using).select_for_update().filter(pk=endpoint.pk).first()
        endpoint.delete(using=using)

    atomically(remove, using=using)


def send_test(endpoint: CallbackEndpoint) -> CallbackEvent:
    """Write a test event for ``endpoint``, and return it; its attempts are made by a job.

    If its URL is not verified, it is challenged once more instead.

    :raises CallbackEndpoint.DoesNotExist: it has just been deleted.
    """
    using = router.db_for_write(CallbackEndpoint)
    with transaction.atomic(using=using):
        CallbackEndpoint.objects.using(using).select_for_update().get(pk=endpoint.pk)
        if endpoint.state == EndpointState.UNVERIFIED:
            return verification.challenge(endpoint, using=using)
        data = {"endpoint_id": str(endpoint.pk), "test": True}
        event = outbox.new_event(endpoint, EventType.ENDPOINT_TEST, data)
        outbox.store([event], using=using)
    return event


def vouch(endpoint: CallbackEndpoint) -> None:
    """Call ``endpoint`` although its URL has not answered the challenge."""
    using = router.db_for_write(CallbackEndpoint)
    rows = CallbackEndpoint.objects.using(using).filter(
        pk=endpoint.pk, state=EndpointState.UNVERIFIED
    )
    found = _verified()
    if rows.update(**found):
        for name, value in found.items():
            setattr(endpoint, name, value)
        verification.set_aside(endpoint, using=using)
    dispatch.enqueue([endpoint.pk])


class CallbackUrls:
    """The URLs that the push requests of one client may name.

    Reads the client's endpoints once, and only if a request names a URL.
    """

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    @cached_property
    def _endpoints(self) -> list[CallbackEndpoint]:
        return list(self._client.callback_endpoints.only("url"))

    def errors_in(self, url: str) -> Iterator[FieldError]:
        """Yield what is wrong with a ``callback_url``; an empty one is always fine."""
        if not url:
            return
        if not self._client.may_set_callback_url:
            yield FieldError(
                "/callback_url", "this client may not set a callback URL", "not_allowed"
            )
        elif not any(endpoint.has_origin_of(url) for endpoint in self._endpoints):
            detail = "none of the client's endpoints has this scheme, host and port"
            yield FieldError("/callback_url", detail, "unknown_origin")


def _verified() -> dict[str, Any]:
    return {"state": EndpointState.ACTIVE, "verified_at": timezone.now()}


def _save(endpoint: CallbackEndpoint, *names: str) -> None:
    """Write these columns of ``endpoint``, which others may delete at any time."""
    using = router.db_for_write(CallbackEndpoint)
    rows = CallbackEndpoint.objects.using(using).filter(pk=endpoint.pk)
    if not rows.update(**{name: getattr(endpoint, name) for name in names}):
        raise CallbackEndpoint.DoesNotExist


def _url_errors(url: str, client_id: int, lookup: Lookup | None) -> list[FieldError]:
    lookups.client.set(client_id)
    try:
        destinations.check(url, lookup=lookup)
    except DestinationRefused as refused:
        return [FieldError("/url", refused.detail, refused.code)]
    return []


def _type_errors(event_types: Sequence[str]) -> list[FieldError]:
    return [
        FieldError(
            f"/event_types/{index}", f"must be one of {', '.join(CHOICES)}", "invalid_choice"
        )
        for index, event_type in enumerate(event_types)
        if event_type not in CHOICES
    ]
