"""Callbacks: the endpoints of third parties, the events for them, and the attempts made."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import ClassVar
from urllib.parse import urlsplit

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from ..exceptions import SecretUnreadable
from .clients import ApiClient
from .encryption import decrypt
from .identifiers import time_ordered_uuid
from .primary import PrimaryModel, PrimaryQuerySet
from .push_requests import PushRequest


class EventType(models.TextChoices):
    """What a callback is about."""

    COMPLETED = "push.request.completed", _("request completed")
    EXPIRED = "push.request.expired", _("request expired")
    CANCELED = "push.request.canceled", _("request canceled")
    ENDPOINT_DISABLED = "push.endpoint.disabled", _("endpoint disabled")
    ENDPOINT_TEST = "push.endpoint.test", _("test")
    ENDPOINT_VERIFICATION = "push.endpoint.verification", _("verification")


class EndpointState(models.TextChoices):
    """Whether an endpoint is called.

    If it is UNVERIFIED, its events wait until its URL has answered a challenge, the only thing that
    is sent there. If it is PAUSED, they wait until it is resumed. If it is DISABLED, they are set
    aside as FAILED, and can be replayed.
    """

    UNVERIFIED = "unverified", _("unverified")
    ACTIVE = "active", _("active")
    PAUSED = "paused", _("paused")
    DISABLED = "disabled", _("disabled")


class DisabledReason(models.TextChoices):
    """Why an endpoint is DISABLED."""

    GONE = "gone", _("it answered 410 Gone")
    FAILING = "failing", _("every attempt has failed for five days")
    UNVERIFIED = "unverified", _("it has not returned the challenge within a day")


class CallbackStatus(models.TextChoices):
    """The status of a callback."""

    PENDING = "pending", _("pending")
    DELIVERED = "delivered", _("delivered")
    FAILED = "failed", _("failed")


class CallbackEndpointQuerySet(PrimaryQuerySet["CallbackEndpoint"]):
    def callable(self, now: datetime) -> CallbackEndpointQuerySet:
        """Those that are ACTIVE or UNVERIFIED, and not resting."""
        rested = Q(resting_until=None) | Q(resting_until__lte=now)
        return self.filter(rested, state__in=(EndpointState.ACTIVE, EndpointState.UNVERIFIED))

    def with_due_events(self, now: datetime) -> CallbackEndpointQuerySet:
        """Those with at least one event that is due, and that they may get."""
        due = CallbackEvent.objects.due(now).filter(endpoint=OuterRef("pk"))
        challenges = due.filter(type=EventType.ENDPOINT_VERIFICATION)
        is_unverified = Q(state=EndpointState.UNVERIFIED)
        return self.filter((is_unverified & Exists(challenges)) | (~is_unverified & Exists(due)))


class CallbackEndpoint(PrimaryModel):
    """A URL of a client, and how it is doing. Only one job at a time calls it."""

    id = models.UUIDField(primary_key=True, default=time_ordered_uuid, editable=False)
    client = models.ForeignKey(
        ApiClient, models.CASCADE, related_name="callback_endpoints", verbose_name=_("client")
    )
    url = models.CharField(_("URL"), max_length=2_048)
    event_types = models.JSONField(
        _("event types"), default=list, blank=True, help_text=_("Leave empty for all of them.")
    )

    # Encrypted rather than hashed, because callbacks are signed with them.
    encrypted_secret = models.TextField(editable=False)
    encrypted_previous_secret = models.TextField(blank=True, editable=False)
    previous_secret_expires_at = models.DateTimeField(
        _("previous secret expires"), null=True, blank=True, editable=False
    )

    # How it is doing.
    state = models.CharField(
        _("state"),
        max_length=16,
        choices=EndpointState.choices,
        default=EndpointState.UNVERIFIED,
        editable=False,
    )
    reason = models.CharField(
        _("reason"), max_length=16, choices=DisabledReason.choices, blank=True, editable=False
    )
    verified_at = models.DateTimeField(_("verified"), null=True, blank=True, editable=False)
    disabled_at = models.DateTimeField(_("disabled"), null=True, blank=True, editable=False)
    last_attempt_at = models.DateTimeField(_("last attempt"), null=True, blank=True, editable=False)
    failing_since = models.DateTimeField(_("failing since"), null=True, blank=True, editable=False)
    resting_until = models.DateTimeField(_("resting until"), null=True, blank=True, editable=False)

    # The claim of the job that calls it: a token of the process, and the end of its lease.
    owner = models.CharField(max_length=64, blank=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, blank=True, editable=False)

    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    objects = CallbackEndpointQuerySet.as_manager()  # type: ignore[assignment, misc]

    class Meta:
        verbose_name = _("callback endpoint")
        verbose_name_plural = _("callback endpoints")
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(
                name="pushjobs_endpoint_state_known", condition=Q(state__in=EndpointState.values)
            ),
            models.CheckConstraint(
                name="pushjobs_endpoint_active_is_verified",
                condition=(
                    Q(verified_at__isnull=False)
                    | ~Q(state__in=[EndpointState.ACTIVE, EndpointState.PAUSED])
                ),
            ),
        )

    def __str__(self) -> str:
        # Not the URL, which may contain a token: this ends up in logs and page titles.
        return f"{self.id}"

    @sensitive_variables()
    def secrets(self, now: datetime) -> list[str]:
        """Return the secrets to sign with at ``now``, the newest first.

        :raises SecretUnreadable: the SECRET_KEY they were encrypted with is no longer known.
        """
        secrets = [decrypt(self.encrypted_secret)]
        expires_at = self.previous_secret_expires_at
        if self.encrypted_previous_secret and expires_at is not None and expires_at > now:
            # Where the key was lost, the secret has been rotated: the new one is enough.
            with suppress(SecretUnreadable):
                secrets.append(decrypt(self.encrypted_previous_secret))
        return secrets

    def has_origin_of(self, url: str) -> bool:
        """Whether ``url`` has the same scheme, host and port."""
        return _origin(self.url) == _origin(url)

    def wants(self, event_type: str) -> bool:
        """Whether it is called for events of this type."""
        return not self.event_types or event_type in self.event_types


_PORTS = {"https": 443, "http": 80}


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


class CallbackEventQuerySet(PrimaryQuerySet["CallbackEvent"]):
    def pending(self) -> CallbackEventQuerySet:
        return self.filter(status=CallbackStatus.PENDING)

    def due(self, now: datetime) -> CallbackEventQuerySet:
        """Those that are PENDING and whose time has come."""
        return self.pending().filter(next_attempt_at__lte=now)


class CallbackEvent(PrimaryModel):
    """One callback to one endpoint.

    Its key is the ``webhook-id``: the same at every attempt, and after a replay.
    """

    id = models.UUIDField(primary_key=True, default=time_ordered_uuid, editable=False)
    endpoint = models.ForeignKey(
        CallbackEndpoint,
        models.CASCADE,
        related_name="events",
        # Endpoints are cached for a moment. One that has been deleted meanwhile must not fail the
        # transaction that writes the results of many push requests.
        db_constraint=False,
        verbose_name=_("endpoint"),
    )
    request = models.ForeignKey(
        PushRequest,
        models.CASCADE,
        related_name="callbacks",
        null=True,
        blank=True,
        verbose_name=_("push request"),
    )
    type = models.CharField(_("type"), max_length=64, choices=EventType.choices)
    data = models.JSONField(_("data"))
    url = models.CharField(
        _("URL"),
        max_length=2_048,
        blank=True,
        help_text=_("If empty, the URL of the endpoint is called."),
    )
    status = models.CharField(
        _("status"),
        max_length=16,
        choices=CallbackStatus.choices,
        default=CallbackStatus.PENDING,
        editable=False,
    )
    attempts = models.PositiveIntegerField(_("attempts"), default=0, editable=False)
    next_attempt_at = models.DateTimeField(_("next attempt"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True, editable=False)

    objects = CallbackEventQuerySet.as_manager()  # type: ignore[assignment, misc]

    class Meta:
        verbose_name = _("callback")
        verbose_name_plural = _("callbacks")
        ordering = ("-id",)
        indexes = (
            # The relay asks for this every second, for each endpoint.
            models.Index(
                fields=("endpoint", "status", "next_attempt_at"), name="pushjobs_callbacks_due"
            ),
            models.Index(fields=("endpoint", "-id"), name="pushjobs_callbacks_of_endpoint"),
        )
        constraints = (
            models.CheckConstraint(
                name="pushjobs_callback_pending_has_a_time",
                condition=(
                    Q(status=CallbackStatus.PENDING, next_attempt_at__isnull=False)
                    | Q(
                        status__in=[CallbackStatus.DELIVERED, CallbackStatus.FAILED],
                        next_attempt_at__isnull=True,
                    )
                ),
            ),
        )

    def __str__(self) -> str:
        return f"{self.type} {self.id}"


class CallbackAttempt(PrimaryModel):
    """One attempt at a callback, and what came of it."""

    #: Characters of a response that are kept.
    MAX_RESPONSE: ClassVar[int] = 1_024

    event = models.ForeignKey(
        CallbackEvent, models.CASCADE, related_name="journal", verbose_name=_("callback")
    )
    number = models.PositiveIntegerField(_("number"))
    started_at = models.DateTimeField(_("started"))
    latency = models.PositiveIntegerField(_("latency"), help_text=_("In milliseconds."))
    status_code = models.PositiveSmallIntegerField(_("status code"), null=True, blank=True)
    error_code = models.CharField(_("error code"), max_length=64, blank=True)
    response = models.TextField(
        _("response"), blank=True, help_text=_("The beginning of the response body.")
    )

    class Meta:
        verbose_name = _("callback attempt")
        verbose_name_plural = _("callback attempts")
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.number}: {self.status_code or self.error_code}"
