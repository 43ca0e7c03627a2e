"""Push requests and their receipts, as they are shown."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.functional import cached_property
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ...exceptions import InvalidPushRequest
from ...models import Delivery, PushRequest
from ...states import FINAL, DeliveryStatus, Priority, Status
from ..addresses import NamedAddresses, opaque
from ..bodies import Body
from ..fields import IdsField, UTCTimeField, utc


class CountsSerializer(serializers.Serializer[PushRequest]):
    """What became of it, counted by address. `accepted` is the provider's word, not "delivered"."""

    total = serializers.IntegerField(
        read_only=True, help_text="Addresses; until they are known, recipients."
    )
    accepted = serializers.IntegerField(read_only=True, help_text="Accepted by the provider.")
    failed = serializers.IntegerField(read_only=True, help_text="Refused, or given up.")
    dropped = serializers.IntegerField(read_only=True, help_text="Dead addresses: forget them.")
    unknown = serializers.IntegerField(read_only=True, help_text="Sent, but no answer was seen.")


class ErrorSerializer(serializers.Serializer[Any]):
    """Why it did not succeed."""

    code = serializers.CharField(read_only=True, help_text="The reason in a word, for programs.")
    detail = serializers.CharField(read_only=True, help_text="The reason in a sentence.")


class LinksSerializer(serializers.Serializer[Any]):
    """Where to look next."""

    self = serializers.URLField(read_only=True, help_text="This push request.")
    deliveries = serializers.URLField(read_only=True, help_text="Its receipts.")


#: The detail of a final state that has no error of its own.
_ENDS = {
    Status.PARTIAL: "Not every address was accepted; see its deliveries.",
    Status.FAILED: "No address was accepted; see its deliveries.",
    Status.CANCELED: "It was canceled.",
    Status.EXPIRED: "It expired before it was pushed.",
}


class PushRequestSerializer(serializers.Serializer[PushRequest]):
    """The state of a push request. The message itself is not repeated."""

    id = serializers.UUIDField(read_only=True)
    reference = serializers.CharField(read_only=True, help_text="Your own name for it.")
    status = serializers.ChoiceField(choices=Status.choices, read_only=True)
    done = serializers.BooleanField(
        source="is_final", read_only=True, help_text="It has ended, and will not change by itself."
    )
    backend = serializers.CharField(read_only=True, help_text="The backend that pushes it.")
    priority = serializers.ChoiceField(choices=Priority.choices, read_only=True)
    counts = CountsSerializer(source="*", read_only=True)
    error = serializers.SerializerMethodField(help_text="Set if it is done and did not succeed.")
    result = serializers.DictField(
        read_only=True, allow_null=True, help_text="How many addresses had which error code."
    )
    attempts = serializers.IntegerField(read_only=True, help_text="Attempts that were started.")
    created_at = UTCTimeField(read_only=True)
    queued_at = UTCTimeField(read_only=True, allow_null=True)
    send_at = UTCTimeField(
        read_only=True, allow_null=True, help_text="Not before this time, as submitted."
    )
    expires_at = UTCTimeField(
        read_only=True, allow_null=True, help_text="Not after this time, as submitted."
    )
    next_attempt_at = UTCTimeField(read_only=True, allow_null=True)
    started_at = UTCTimeField(read_only=True, allow_null=True)
    finished_at = UTCTimeField(read_only=True, allow_null=True)
    cancel_requested_at = UTCTimeField(read_only=True, allow_null=True)
    links = serializers.SerializerMethodField()

    @extend_schema_field(ErrorSerializer(allow_null=True))
    def get_error(self, row: PushRequest) -> dict[str, str] | None:
        if row.status not in FINAL or row.status == Status.SUCCEEDED:
            return None
        return {
            "code": row.error_code or row.status,
            "detail": row.error or _ENDS[Status(row.status)],
        }

    @extend_schema_field(LinksSerializer)
    def get_links(self, row: PushRequest) -> dict[str, str]:
        url = f"{self._list_url}/{row.pk}"
        return {"self": url, "deliveries": f"{url}/deliveries"}

    @cached_property
    def _list_url(self) -> str:
        request = self.context["request"]
        path = reverse(f"{request.resolver_match.namespace}:push-request-list")
        url: str = request.build_absolute_uri(path)
        return url

    def to_representation(self, row: PushRequest) -> dict[str, Any]:
        """Return what the fields above would, without calling each of them for each row."""
        return {
            "id": str(row.pk),
            "reference": row.reference,
            "status": str(row.status),
            "done": row.is_final,
            "backend": row.backend,
            "priority": str(row.priority),
            "counts": row.counts,
            "error": self.get_error(row),
            "result": row.result,
            "attempts": row.attempts,
            **{name: utc(getattr(row, name)) for name in _TIMES},
            "links": self.get_links(row),
        }


_TIMES = tuple(
    name
    for name, field in PushRequestSerializer._declared_fields.items()
    if isinstance(field, UTCTimeField)
)


class DeliverySerializer(serializers.Serializer[Delivery]):
    """A receipt: what became of one address."""

    # The context holds the addresses that may be read, as ``named``.

    id = serializers.SerializerMethodField()
    address = serializers.SerializerMethodField(
        help_text="As the request named it; null if it is that of a user or a tag."
    )
    status = serializers.ChoiceField(choices=DeliveryStatus.choices, read_only=True)
    provider_id = serializers.SerializerMethodField(
        help_text="The provider's id of the message, if it gave one."
    )
    error = serializers.SerializerMethodField(help_text="Set if it was not accepted.")
    attempts = serializers.IntegerField(read_only=True)
    started_at = UTCTimeField(read_only=True)
    finished_at = UTCTimeField(read_only=True)

    @extend_schema_field(serializers.UUIDField())
    def get_id(self, row: Delivery) -> str:
        return str(row.pk if self.get_address(row) is not None else opaque(row.pk))

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_address(self, row: Delivery) -> str | None:
        named: NamedAddresses = self.context["named"]
        return named.spelling_of(row.address)

    @extend_schema_field(ErrorSerializer(allow_null=True))
    def get_error(self, row: Delivery) -> dict[str, str] | None:
        if row.status == DeliveryStatus.ACCEPTED:
            return None
        return {"code": row.error_code or row.status, "detail": self._told(row, row.error)}

    def get_provider_id(self, row: Delivery) -> str:
        return self._told(row, row.provider_id)

    def _told(self, row: Delivery, said: str) -> str:
        """Return what a provider said, unless it repeats what the third party may not know."""
        if self.get_address(row) is None and (row.address in said or str(row.pk) in said):
            return ""
        return said


class ReceiptsQuery(Body):
    """The push requests in question."""

    invalid = InvalidPushRequest

    ids = IdsField(
        schema={"items": {"type": "string", "format": "uuid"}, "maxItems": 1_000},
        help_text="Ids of push requests.",
    )
