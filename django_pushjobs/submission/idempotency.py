"""Calls that may be repeated: the first one acts, and all of them get its answer.

After the IETF draft "The Idempotency-Key HTTP Header Field" (-08). The answer is stored in the
transaction that stores the rows, so there is either both or nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, OperationalError, connections, router
from django.db.models import QuerySet
from django.utils import timezone

from ..conf import conf
from ..exceptions import PushJobsError
from ..limits.admission import Admission
from ..models import ApiClient, IdempotencyRecord, PushRequest
from ..runtime.turns import in_turns
from .acceptance import accept
from .submissions import Submission

MAX_KEY = 255
#: Seconds for which PostgreSQL, MySQL and MariaDB let a call wait for another with the same key.
PATIENCE = 2


class KeyReused(PushJobsError):
    """The client has used this key for a different call."""


class CallInProgress(PushJobsError):
    """A call with this key is still being answered."""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What the first call was answered: status, headers that only this answer has, and the body as
    it went out."""

    status: int
    headers: Mapping[str, str]
    body: str
    expires_at: datetime
    replayed: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class IdempotentCall:
    """A call that carries an Idempotency-Key, and so may be repeated.

    :param key: as the client sent it, without quotes; 1 to 255 characters.
    :param fingerprint: see :func:`fingerprint`.
    """

    client: ApiClient
    key: str
    fingerprint: str

    def stored(self) -> StoredAnswer | None:
        """Return what was answered to it before, or None.

        :raises KeyReused: the key belongs to another call.
        """
        record = self._records().first()
        if record is None:
            return None
        if record.expires_at <= timezone.now():
            self._records().filter(pk=record.pk).delete()
            return None
        if record.fingerprint != self.fingerprint:
            raise KeyReused
        return StoredAnswer(
            record.status, record.headers, record.body, record.expires_at, replayed=True
        )

    def accept(
        self,
        submissions: Sequence[Submission],
        answer: Callable[[Sequence[PushRequest]], tuple[int, Mapping[str, str], str]],
        admission: Admission | None = None,
    ) -> StoredAnswer:
        """Accept ``submissions`` once, and return the answer that is stored with them.

        :param answer: makes status, headers and body of the rows before they are stored.
        :raises KeyReused: the key belongs to another call, which was a moment faster.
        :raises CallInProgress: waiting for that call would take too long.
        """
        made: list[StoredAnswer] = []
        expires_at = timezone.now() + timedelta(seconds=conf().IDEMPOTENCY_TTL)

        def prepare(rows: Sequence[PushRequest]) -> Callable[[str], None]:
            made.append(StoredAnswer(*answer(rows), expires_at))
            return store

        def store(using: str) -> None:
            given = made[0]
            with _patience(using):
                IdempotencyRecord.objects.using(using).create(
                    client=self.client,
                    key=_digest(self.key),
                    fingerprint=self.fingerprint,
                    status=given.status,
                    headers=dict(given.headers),
                    body=given.body,
                    expires_at=expires_at,
                )

        try:
            # The record comes first: a repeat of this call waits for it, and stores nothing.
            accept(submissions, client=self.client, admission=admission, prepare=prepare)
        except IntegrityError:
            if (earlier := self.stored()) is None:
                raise
            return earlier
        except OperationalError as error:
            if _waited_too_long(error):
                raise CallInProgress from None
            raise
        return made[0]

    def amend(self, answer: StoredAnswer) -> None:
        """Keep ``answer`` in place of the first one: the call has waited for the result."""
        self._records().update(status=answer.status, headers=dict(answer.headers), body=answer.body)

    def _records(self) -> QuerySet[IdempotencyRecord]:
        # From the primary: a replica may not have it yet.
        using = router.db_for_write(IdempotencyRecord)
        return IdempotencyRecord.objects.using(using).filter(
            client=self.client, key=_digest(self.key)
        )


def fingerprint(method: str, path: str, body: Any) -> str:
    """Return the SHA-256 of a call: alike for bodies that are the same JSON."""
    digest = hashlib.sha256(f"{method} {path}\n".encode())
    for name in sorted(body) if isinstance(body, dict) else ():
        digest.update(_canonical(name))
        # A batch has many items.
        items = body[name] if isinstance(body[name], list) else [body[name]]
        digest.update(b":[" if items is body[name] else b":")
        for item in in_turns(items):
            digest.update(_canonical(item) + b",")
    if not isinstance(body, dict):
        digest.update(_canonical(body))
    return digest.hexdigest()


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def expired(now: datetime) -> QuerySet[IdempotencyRecord]:
    """Return the answers that are kept no longer."""
    using = router.db_for_write(IdempotencyRecord)
    return IdempotencyRecord.objects.using(using).filter(expires_at__lte=now)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def _patience(using: str) -> Iterator[None]:
    """Let statements of the body wait for locks for :data:`PATIENCE` seconds at most.

    By default PostgreSQL waits for ever, and MySQL for 50 s.
    """
    connection = connections[using]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{PATIENCE}s'")
    if connection.vendor != "mysql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute(f"SET SESSION innodb_lock_wait_timeout = {PATIENCE}")
        try:
            yield
        finally:
            # It is not of the transaction, but of the session. Django's own cursor would refuse,
            # since the transaction may be broken.
            with connection.connection.cursor() as raw:
                raw.execute("SET SESSION innodb_lock_wait_timeout = DEFAULT")


def _waited_too_long(error: OperationalError) -> bool:
    """Return whether the database gave up waiting for another transaction, or broke a deadlock."""
    cause = error.__cause__
    # PostgreSQL: lock_not_available; MySQL: ER_LOCK_WAIT_TIMEOUT and ER_LOCK_DEADLOCK.
    return getattr(cause, "sqlstate", None) == "55P03" or getattr(cause, "args", ())[:1] in (
        (1205,),
        (1213,),
    )
