"""What was answered to calls that a client may repeat."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from .clients import ApiClient


class IdempotencyRecord(models.Model):
    """The answer to one call with an ``Idempotency-Key``, stored with the rows that it made.

    That a client has one record for a key is what makes two calls at the same moment one: the
    database lets the second in only when the first has committed, and then refuses it.
    """

    client = models.ForeignKey(ApiClient, models.CASCADE, related_name="+")
    #: SHA-256 of the key: alike in every collation, and of no use to whoever reads it.
    key = models.CharField(max_length=64)
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
