"""Push requests: what was submitted, and where it stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..db import clock
from ..db.arrays import AnyOf
from ..db.inserts import insert
from ..db.statements import Place, Statement
from ..states import ACTIVE, COUNTS, FINAL, WAITING, OnUnknown, Priority, Status, sources
from .clients import ApiClient
from .exact import ExactCharField
from .identifiers import time_ordered_uuid
from .indexes import SparseIndex
from .primary import PrimaryModel, PrimaryQuerySet

#: Columns that may hold megabytes: defer them if only the state of a request matters.
BULKY = ("recipients", "title", "body", "data", "options")


class PushRequestQuerySet(PrimaryQuerySet["PushRequest"]):
    """Queries that are named after the words of the glossary."""

    def among(self, ids: Iterable[UUID] | Place) -> PushRequestQuerySet:
        """Those with one of these keys."""
        return self.filter(AnyOf(F("pk"), ids if isinstance(ids, Place) else list(ids)))

    def due(self, now: datetime) -> PushRequestQuerySet:
        """PENDING, and their time has come."""
        return self.filter(status=Status.PENDING, next_attempt_at__lte=now)

    def queued_before(self, before: datetime) -> PushRequestQuerySet:
        """QUEUED since before ``before``, so that their job may be lost."""
        return self.filter(status=Status.QUEUED, queued_at__lt=before)

    def overdue(self, now: datetime) -> PushRequestQuerySet:
        """Waiting, although they have expired."""
        return self.filter(status__in=WAITING, expires_at__lte=now)

    def whole(self) -> PushRequestQuerySet:
        """As they were submitted: without the parts of large ones."""
        return self.filter(parent=None)

    def unexpired(self, now: datetime | Place) -> PushRequestQuerySet:
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=now))

    def owned(self, owner: str) -> PushRequestQuerySet:
        """RUNNING under the claim of ``owner``."""
        return self.filter(status=Status.RUNNING, owner=owner)

    def insert(self, rows: Sequence[PushRequest]) -> None:
        """Insert new rows: ``bulk_create()`` without the columns that nobody has set.

        Most columns say what becomes of a request and start at the database's default; writing
        them out would take most of the time.
        """
        defaults = self.model()
        columns = {}
        for field in self.model._meta.concrete_fields:
            name = field.attname
            values = [getattr(row, name) for row in rows]
            default = getattr(defaults, name)
            if (
                field.primary_key
                or not (field.null or field.has_db_default())
                or any(value != default for value in values)
            ):
                columns[name] = values
        insert(self.model, columns, using=self.db)
        for row in rows:
            row._state.adding, row._state.db = False, self.db

    def transition(self, to: Status, **fields: Any) -> int:
        """Move the selected rows that may enter ``to``, and return how many moved.

        This is the one guarded UPDATE of the package. Zero is an answer: somebody else was
        first. Whatever the state machine implies (owner, lease, end) is set here, so that the
        table's constraints hold for every caller.
        """
        rows, values = self._moved(to, clock.now(), fields)
        return rows.update(**values)

    def transition_statement(
        self, to: Status, *, returning: Sequence[str] = (), **fields: Any
    ) -> Statement:
        """Return :meth:`transition` as a statement, for code that makes the same move many times.

        Each run passes the time as ``now``. For ``returning`` see :class:`Statement`.
        """
        now = Place(self.model, "updated_at", "now")
        return Statement.of_update(*self._moved(to, now, fields), returning=returning)

    def _moved(
        self, to: Status, now: datetime | Place, fields: dict[str, Any]
    ) -> tuple[PushRequestQuerySet, dict[str, Any]]:
        """Return the rows that may enter ``to``, and all that changes with it."""
        if to is not Status.RUNNING:
            fields |= {"owner": "", "lease_expires_at": None}
        if to is Status.QUEUED:
            fields.setdefault("queued_at", now)
        fields["finished_at"] = now if to in FINAL else None
        fields.setdefault("updated_at", now)
        if to is not Status.PENDING:
            fields["next_attempt_at"] = None
        return self.filter(status__in=sources(to)), {"status": to, **fields}


class PushRequest(PrimaryModel):
    """One message to one or many recipients, submitted once. See :mod:`~django_pushjobs.states`."""

    id = models.UUIDField(primary_key=True, default=time_ordered_uuid, editable=False)
    client = models.ForeignKey(
        ApiClient,
        models.PROTECT,
        related_name="push_requests",
        null=True,
        blank=True,
        db_index=False,  # pushjobs_by_client begins with it
        verbose_name=_("client"),
        help_text=_("Empty if our own code submitted it."),
    )
    reference = ExactCharField(
        _("reference"),
        max_length=255,
        blank=True,
        default="",
        db_default="",
        help_text=_("The third party's own name for it."),
    )

    # A large request is pushed in parts: push requests of their own that nobody outside sees.
    parent = models.ForeignKey(
        "self", models.CASCADE, related_name="parts", null=True, editable=False, db_index=False
    )

    # What to push, and to whom.
    recipients = models.JSONField(_("recipients"))
    title = models.TextField(_("title"), blank=True)
    body = models.TextField(_("body"), blank=True)
    data = models.JSONField(_("data"), default=dict, blank=True)
    options = models.JSONField(_("options"), default=dict, blank=True)
    backend = ExactCharField(_("backend"), max_length=64)
    priority = models.CharField(
        _("priority"),
        max_length=8,
        choices=Priority.choices,
        default=Priority.NORMAL,
        db_default=Priority.NORMAL,
    )
    collapse_key = ExactCharField(
        _("collapse key"), max_length=64, blank=True, default="", db_default=""
    )
    send_at = models.DateTimeField(_("send at"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)

    on_unknown = models.CharField(
        _("on unknown"),
        max_length=8,
        choices=OnUnknown.choices,
        default=OnUnknown.RETRY,
        db_default=OnUnknown.RETRY,
    )
    callback_url = models.CharField(
        _("callback URL"),
        max_length=2_048,
        blank=True,
        default="",
        db_default="",
        help_text=_("Called instead of the endpoint's URL."),
    )

    # How to find it in the logs of others.
    request_id = ExactCharField(
        _("request id"), max_length=128, blank=True, default="", db_default=""
    )
    traceparent = models.CharField(
        _("trace parent"), max_length=64, blank=True, default="", db_default=""
    )

    # Where it stands.
    status = models.CharField(
        _("status"), max_length=16, choices=Status.choices, default=Status.QUEUED, editable=False
    )
    error_code = models.CharField(
        _("error code"), max_length=64, blank=True, default="", db_default=""
    )
    error = models.TextField(_("error"), blank=True)
    attempts = models.PositiveIntegerField(_("attempts"), default=0, db_default=0)
    # Those that did not concern every address that was open: some of them waited, for their time or
    # for the end of a pause. Each address has attempts of its own.
    uncounted_attempts = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    attempt_limit = models.PositiveIntegerField(
        _("attempt limit"), null=True, blank=True, help_text=_("Empty: any number.")
    )
    # How often it was enqueued: every job has an id of its own.
    enqueues = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    next_attempt_at = models.DateTimeField(_("next attempt"), null=True, blank=True)
    cancel_requested_at = models.DateTimeField(_("cancel requested"), null=True, blank=True)

    # Who works on it: a token of the claiming process, and when its lease expires.
    owner = models.CharField(_("owner"), max_length=64, blank=True, default="", db_default="")
    lease_expires_at = models.DateTimeField(_("lease expires"), null=True, blank=True)

    # What became of it, counted by address.
    total = models.PositiveIntegerField(_("addresses"), default=0, db_default=0)
    accepted = models.PositiveIntegerField(_("accepted"), default=0, db_default=0)
    failed = models.PositiveIntegerField(_("failed"), default=0, db_default=0)
    dropped = models.PositiveIntegerField(_("dropped"), default=0, db_default=0)
    unknown = models.PositiveIntegerField(_("unknown"), default=0, db_default=0)
    result = models.JSONField(_("result"), null=True, blank=True)

    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    queued_at = models.DateTimeField(_("queued"), null=True, blank=True)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    updated_at = models.DateTimeField(_("updated"), default=timezone.now, editable=False)

    objects = PushRequestQuerySet.as_manager()  # type: ignore[assignment, misc]

    class Meta:
        verbose_name = _("push request")
        verbose_name_plural = _("push requests")
        ordering = ("-id",)
        indexes = (
            models.Index(fields=("client", "-id"), name="pushjobs_by_client"),
            SparseIndex(
                fields=("reference", "client"),
                name="pushjobs_by_reference",
                condition=~Q(reference=""),
            ),
            models.Index(fields=("status", "-id"), name="pushjobs_by_status"),
            models.Index(
                fields=("parent",), name="pushjobs_parts", condition=Q(parent__isnull=False)
            ),
            # What the relay asks for every second: only the rows in that state are in them.
            models.Index(
                fields=("next_attempt_at",),
                name="pushjobs_due",
                condition=Q(status=Status.PENDING),
            ),
            # The same if one of the backends is paused.
            models.Index(
                fields=("backend", "next_attempt_at"),
                name="pushjobs_due_by_backend",
                condition=Q(status=Status.PENDING),
            ),
            models.Index(
                fields=("expires_at",),
                name="pushjobs_overdue",
                condition=Q(status__in=sorted(WAITING), expires_at__isnull=False),
            ),
            models.Index(
                fields=("queued_at",), name="pushjobs_queued", condition=Q(status=Status.QUEUED)
            ),
            models.Index(
                fields=("lease_expires_at",),
                name="pushjobs_leases",
                condition=Q(status=Status.RUNNING),
            ),
        )
        constraints = (
            models.CheckConstraint(
                name="pushjobs_status_is_known", condition=Q(status__in=Status.values)
            ),
            models.CheckConstraint(
                name="pushjobs_pending_has_a_time",
                condition=~Q(status=Status.PENDING) | Q(next_attempt_at__isnull=False),
            ),
            models.CheckConstraint(
                name="pushjobs_running_has_an_owner",
                condition=(
                    (Q(status=Status.RUNNING) & ~Q(owner="") & Q(lease_expires_at__isnull=False))
                    | (~Q(status=Status.RUNNING) & Q(owner="", lease_expires_at__isnull=True))
                ),
            ),
            models.CheckConstraint(
                name="pushjobs_final_has_an_end",
                condition=(
                    Q(status__in=sorted(FINAL), finished_at__isnull=False)
                    | Q(status__in=sorted(ACTIVE), finished_at__isnull=True)
                ),
            ),
        )

    def __str__(self) -> str:
        return self.reference or str(self.id)

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def is_part(self) -> bool:
        """It stands for some addresses of a larger request."""
        return self.parent_id is not None

    @property
    def root_id(self) -> UUID:
        """The key of the request as it was submitted."""
        return self.parent_id or self.pk

    @property
    def counted_attempts(self) -> int:
        """Attempts that count towards the limit."""
        return self.attempts - self.uncounted_attempts

    @property
    def counts(self) -> dict[str, int]:
        """Addresses by what is known about them."""
        return {name: getattr(self, name) for name in COUNTS}
