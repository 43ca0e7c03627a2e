"""JSON -> submissions, and rows -> JSON."""

from __future__ import annotations

from collections.abc import Container
from functools import cache
from typing import Any, cast
from uuid import UUID

from django.urls import reverse
from django.utils.functional import cached_property
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.fields import SkipField, empty

from ..callbacks.endpoints import CallbackUrls
from ..conf import conf
from ..exceptions import FieldError, InvalidPushRequest
from ..models import Delivery, PushRequest
from ..states import FINAL, DeliveryStatus, OnUnknown, Priority, Status
from ..submission.submissions import (
    MAX_BODY,
    MAX_COLLAPSE_KEY,
    MAX_REFERENCE,
    MAX_TITLE,
    MAX_TTL,
    Submission,
)
from ..transport.destinations import MAX_URL
from .fields import (
    BooleanField,
    IntegerField,
    ListField,
    NameField,
    ObjectField,
    StringField,
    TimeField,
    UTCTimeField,
    utc,
)
from .tracing import Trace

#: A text that people read: of the control characters only tabs and the ends of lines.
_TEXT = {"pattern": r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f]*$"}
_RECIPIENT = {
    "oneOf": [
        {"type": "string", "minLength": 1, "description": "An address, such as a device token."},
        {
            "type": "object",
            "description": 'Somebody the server knows: `{"kind": value}`.',
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": {},
        },
    ]
}


@extend_schema_serializer(component_name="NewBatchItem")
class SubmissionSerializer(serializers.Serializer[Submission]):
    """A push request to be accepted. Members that are not listed here are refused."""

    recipients = ListField(
        schema={"items": _RECIPIENT, "minItems": 1},
        help_text="Who gets the message: addresses, or objects with one key.",
    )
    title = StringField(
        required=False,
        schema={"maxLength": MAX_TITLE, **_TEXT},
        help_text="The headline of the message.",
    )
    body = StringField(
        required=False,
        schema={"maxLength": MAX_BODY, **_TEXT},
        help_text="The text of the message.",
    )
    data = ObjectField(  # type: ignore[assignment]
        required=False, help_text="What the app on the device gets besides."
    )
    options = ObjectField(required=False, help_text="What the provider gets besides.")
    backend = NameField(
        required=False,
        allow_null=True,
        schema={"maxLength": 64},
        help_text="The way to push it; the server has a default.",
    )
    priority = StringField(
        required=False,
        schema={"enum": Priority.values, "default": Priority.NORMAL.value},
        help_text="How urgent it is.",
    )
    send_at = TimeField(
        required=False, allow_null=True, help_text="Not before this time, which has an offset."
    )
    expires_at = TimeField(
        required=False, allow_null=True, help_text="Not after this time, which has an offset."
    )
    ttl = IntegerField(
        required=False,
        allow_null=True,
        schema={"minimum": 1, "maximum": MAX_TTL},
        help_text="Instead of `expires_at`: seconds after `send_at`, or after now.",
    )
    collapse_key = StringField(
        required=False,
        schema={"maxLength": MAX_COLLAPSE_KEY},
        help_text="A later message with the same key replaces this one, where supported.",
    )
    on_unknown = StringField(
        required=False,
        allow_null=True,
        schema={"enum": OnUnknown.values},
        help_text="What to do where the message was sent and nobody saw the answer of the "
        "provider: `retry`, and it may show twice, or `stop`, and it may never show.",
    )
    callback_url = StringField(
        required=False,
        schema={"maxLength": MAX_URL},
        help_text="Told of its end instead of your endpoint at the same host, where you may.",
    )
    reference = StringField(
        required=False, schema={"maxLength": MAX_REFERENCE}, help_text="Your own name for it."
    )

    def read(
        self,
        item: Any,
        trace: Trace,
        callback_urls: CallbackUrls | None = None,
        backend: str | None = None,
    ) -> Submission:
        """Return the submission that ``item``, a value from a JSON parser, stands for.

        :param backend: the alias that takes the place of the one that ``item`` names.
        :raises InvalidPushRequest: every field at fault is named, by its type or by the rules of
            :class:`Submission`.
        """
        errors = _unknown_members(item, self.fields)
        # Stands for recipients of a wrong type, so that the other rules can be checked as well.
        values: dict[str, Any] = {"recipients": ()}
        faulty: tuple[str, ...] = ()
        for name, field in self.fields.items():
            if name not in item and not field.required:
                continue
            try:
                values[name] = field.run_validation(item.get(name, empty))
            except SkipField:
                pass
            except ValidationError as error:
                faulty += (f"/{name}",)
                errors.append(FieldError(f"/{name}", *_reason(error)))
        if backend is not None:
            values["backend"] = backend
        submission = Submission(
            **values, request_id=trace.request_id, traceparent=trace.traceparent
        )
        try:
            submission.check()
        except InvalidPushRequest as invalid:
            errors += [e for e in invalid.errors if not e.pointer.startswith(faulty)]
        if not errors and callback_urls is not None:
            errors += callback_urls.errors_in(submission.callback_url)
        if errors:
            raise InvalidPushRequest(errors)
        return submission


@cache
def _reader() -> SubmissionSerializer:
    # It keeps nothing of what it reads, and its fields take a while to copy.
    return SubmissionSerializer()


def _validate_only() -> BooleanField:
    return BooleanField(
        required=False,
        schema={"default": False},
        help_text="Tell what is wrong with it, and store nothing (AIP-163).",
    )


@extend_schema_serializer(component_name="NewPushRequest")
class NewPushRequestSerializer(SubmissionSerializer):
    """A push request to be accepted. Members that are not listed here are refused."""

    validate_only = _validate_only()

    def read(
        self,
        item: Any,
        trace: Trace,
        callback_urls: CallbackUrls | None = None,
        backend: str | None = None,
    ) -> Submission:
        if isinstance(item, dict):
            item = {name: value for name, value in item.items() if name != "validate_only"}
        return _reader().read(item, trace, callback_urls, backend)


@extend_schema_serializer(component_name="NewBatch")
class BatchSerializer(serializers.Serializer[Any]):
    """Push requests to be accepted one by one."""

    items = SubmissionSerializer(many=True)
    validate_only = _validate_only()

    def read(
        self,
        body: Any,
        trace: Trace,
        callback_urls: CallbackUrls | None = None,
        backend: str | None = None,
    ) -> list[Submission | InvalidPushRequest]:
        """Return what each item of ``body`` stands for, or what is wrong with it, in order.

        :raises InvalidPushRequest: ``body`` is no batch, or no item of it can be accepted.
        """
        if errors := _unknown_members(body, self.fields):
            raise InvalidPushRequest(errors)
        reader = _reader()
        read = [
            _read_item(reader, i, item, trace, callback_urls, backend)
            for i, item in enumerate(_items(body))
        ]
        invalid = [item for item in read if isinstance(item, InvalidPushRequest)]
        if len(invalid) == len(read):
            raise InvalidPushRequest([error for item in invalid for error in item.errors])
        return read


def wants_validation_only(body: Any) -> bool:
    """Return what ``body`` says in ``validate_only``.

    :raises InvalidPushRequest: neither true nor false.
    """
    if not isinstance(body, dict) or "validate_only" not in body:
        return False
    wish = body["validate_only"]
    if not isinstance(wish, bool):
        error = FieldError("/validate_only", "must be true or false", "invalid_type")
        raise InvalidPushRequest([error])
    return wish


def _items(body: dict[str, Any]) -> list[Any]:
    limit = conf().MAX_BATCH
    match body.get("items", empty):
        case []:
            error = FieldError("/items", "is empty", "empty")
        case list(items) if len(items) > limit:
            error = FieldError("/items", f"has more than {limit} items", "too_many")
        case list(items):
            return items
        case value if value is empty:
            error = FieldError("/items", "is required", "required")
        case _:
            error = FieldError("/items", "must be a list", "invalid_type")
    raise InvalidPushRequest([error])


def _read_item(
    reader: SubmissionSerializer,
    index: int,
    item: Any,
    trace: Trace,
    callback_urls: CallbackUrls | None,
    backend: str | None,
) -> Submission | InvalidPushRequest:
    try:
        return reader.read(item, trace, callback_urls, backend)
    except InvalidPushRequest as invalid:
        return InvalidPushRequest(
            [FieldError(f"/items/{index}{e.pointer}", e.detail, e.code) for e in invalid.errors]
        )


def _unknown_members(value: Any, known: Container[str]) -> list[FieldError]:
    """Return an error for each member of ``value`` that is not known.

    :raises InvalidPushRequest: it is no object at all.
    """
    if not isinstance(value, dict):
        raise InvalidPushRequest([FieldError("", "must be an object", "invalid_type")])
    return [
        FieldError(f"/{_pointer(name)}", "is not known here", "unknown_field")
        for name in value
        if name not in known
    ]


def _reason(error: ValidationError) -> tuple[str, str]:
    """Return the sentence and the code of a field's error; our fields raise one at a time."""
    [detail] = cast(list[ErrorDetail], error.detail)
    return str(detail), detail.code or "invalid"


def _pointer(name: str) -> str:
    """Escape a name that somebody made up for a JSON pointer (RFC 6901), and keep it short."""
    printable = name[:64].encode(errors="replace").decode()
    return printable.replace("~", "~0").replace("/", "~1")


class CountsSerializer(serializers.Serializer[PushRequest]):
    """What became of it, counted by address. `accepted` is the provider's word, not "delivered"."""

    total = serializers.IntegerField(read_only=True, help_text="Addresses; recipients at first.")
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


#: What is said of an end that has no error of its own.
_ENDS = {
    Status.PARTIAL: "Not every address was accepted; see its deliveries.",
    Status.FAILED: "No address was accepted; see its deliveries.",
    Status.CANCELED: "It was canceled.",
    Status.EXPIRED: "It expired before it was pushed.",
}


class PushRequestSerializer(serializers.Serializer[PushRequest]):
    """Where a push request stands. The message itself is not repeated: you have it."""

    id = serializers.UUIDField(read_only=True)
    reference = serializers.CharField(read_only=True, help_text="Your own name for it.")
    status = serializers.ChoiceField(choices=Status.choices, read_only=True)
    done = serializers.BooleanField(
        source="is_final", read_only=True, help_text="It has ended, and will not change by itself."
    )
    backend = serializers.CharField(read_only=True, help_text="The way it is pushed.")
    priority = serializers.ChoiceField(choices=Priority.choices, read_only=True)
    counts = CountsSerializer(source="*", read_only=True)
    error = serializers.SerializerMethodField(help_text="Set where it is done and not succeeded.")
    result = serializers.DictField(
        read_only=True, allow_null=True, help_text="Addresses by code of their error."
    )
    attempts = serializers.IntegerField(read_only=True, help_text="Attempts that were begun.")
    created_at = UTCTimeField(read_only=True)
    queued_at = UTCTimeField(read_only=True, allow_null=True)
    send_at = UTCTimeField(read_only=True, allow_null=True, help_text="Not before; as you said.")
    expires_at = UTCTimeField(read_only=True, allow_null=True, help_text="Not after; as you said.")
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
        """Return what the fields above say, without asking each of them for each row of a batch."""
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


_TIMES = (
    *("created_at", "queued_at", "send_at", "expires_at", "next_attempt_at"),
    *("started_at", "finished_at", "cancel_requested_at"),
)


class DeliverySerializer(serializers.Serializer[Delivery]):
    """A receipt: what became of one address."""

    id = serializers.UUIDField(read_only=True)
    address = serializers.CharField(read_only=True)
    status = serializers.ChoiceField(choices=DeliveryStatus.choices, read_only=True)
    provider_id = serializers.CharField(
        read_only=True, help_text="The provider's id of the message, if it gave one."
    )
    error = serializers.SerializerMethodField(help_text="Set where it is not accepted.")
    attempts = serializers.IntegerField(read_only=True)
    started_at = UTCTimeField(read_only=True)
    finished_at = UTCTimeField(read_only=True)

    @extend_schema_field(ErrorSerializer(allow_null=True))
    def get_error(self, row: Delivery) -> dict[str, str] | None:
        if row.status == DeliveryStatus.ACCEPTED:
            return None
        return {"code": row.error_code or row.status, "detail": row.error}


@extend_schema_serializer(component_name="ReceiptsQuery")
class ReceiptsQuerySerializer(serializers.Serializer[Any]):
    """Which push requests it is about."""

    ids = ListField(
        schema={"items": {"type": "string", "format": "uuid"}, "minItems": 1, "maxItems": 1_000},
        help_text="Ids of push requests.",
    )

    def read(self, body: Any) -> list[UUID]:
        """Return the ids that ``body`` names, in order.

        :raises InvalidPushRequest: it is no such query.
        """
        errors = _unknown_members(body, self.fields)
        ids: list[UUID] = []
        match body.get("ids", empty):
            case []:
                errors.append(FieldError("/ids", "is empty", "empty"))
            case list(given) if len(given) > (limit := conf().MAX_BATCH):
                errors.append(FieldError("/ids", f"has more than {limit} ids", "too_many"))
            case list(given):
                for index, text in enumerate(given):
                    try:
                        ids.append(UUID(text if isinstance(text, str) else ""))
                    except ValueError:
                        errors.append(FieldError(f"/ids/{index}", "is no id", "invalid_id"))
            case value if value is empty:
                errors.append(FieldError("/ids", "is required", "required"))
            case _:
                errors.append(FieldError("/ids", "must be a list", "invalid_type"))
        if errors:
            raise InvalidPushRequest(errors)
        return ids
