"""The responses to calls that a client may repeat."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from .clients import ApiClient
from .exact import ExactCharField
from .primary import PrimaryModel


class IdempotencyRecord(PrimaryModel):
    """The response to a call with an ``Idempotency-Key``, stored together with the rows it created.

    The unique constraint makes one of two simultaneous calls: the database holds the second one
    back until the first has committed, and then rejects it.
    """

    client = models.ForeignKey(ApiClient, models.CASCADE, related_name="+")
    #: SHA-256 of the key: independent of the collation, and useless to whoever reads it.
    key = ExactCharField(max_length=64)
    #: SHA-256 of method, path and canonical body.
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    headers = models.JSONField(default=dict)
    body = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints: ClassVar = (
            models.UniqueConstraint(fields=("client", "key"), name="pushjobs_one_answer_a_key"),
        )

    def __str__(self) -> str:
        return f"{self.key[:12]}…"
