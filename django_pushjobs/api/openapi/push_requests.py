"""The operations on push requests."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from drf_spectacular.utils import OpenApiExample, OpenApiResponse
from rest_framework import serializers

from ..serializers.push_requests import DeliverySerializer, PushRequestSerializer, ReceiptsQuery
from ..serializers.submissions import NewBatch, NewPushRequest
from ..sse import MEDIA_TYPE as EVENT_STREAM
from .describe import ProblemSerializer, header, location, operation, responses, retry_after
from .examples import BATCH_ANSWER, DONE, EVENT, NEW, NEW_BATCH, QUEUED

TAG: Final = "Push requests"

_operation = partial(operation, tag=TAG)


class BatchTicketSerializer(serializers.Serializer[Any]):
    """Either a push request or a problem, with the status that the item alone would have had."""

    status = serializers.IntegerField(
        help_text="202 or 400; 204 instead of 202 if it was only validated."
    )
    push_request = PushRequestSerializer(required=False)
    problem = ProblemSerializer(required=False)


class BatchAnswerSerializer(serializers.Serializer[Any]):
    items = BatchTicketSerializer(many=True, help_text="One ticket per item, in order.")


class ReceiptsTicketSerializer(serializers.Serializer[Any]):
    """A push request and its receipts, or a problem if there is no such push request."""

    id = serializers.UUIDField(help_text="The id that was asked for.")
    status = serializers.IntegerField(help_text="200 or 404.")
    push_request = PushRequestSerializer(required=False)
    deliveries = DeliverySerializer(
        many=True,
        required=False,
        allow_null=True,
        help_text="Null if there are more than 10 addresses: read them in pages.",
    )
    problem = ProblemSerializer(required=False)


class ReceiptsAnswerSerializer(serializers.Serializer[Any]):
    items = ReceiptsTicketSerializer(many=True, help_text="One ticket per id, in order.")


#: Of calls that may be repeated.
_IDEMPOTENT = [
    header(
        "Idempotency-Key",
        {"type": "string", "minLength": 1, "maxLength": 257},
        "A repeated call with the same key gets the same answer, and does nothing. Up to 255 "
        "visible ASCII characters, as a string of RFC 9651 (in quotes) or bare.",
    ),
    header("Idempotent-Replayed", str, "`true` if the call was answered before.", 202),
    header("Idempotency-Expires", str, "Until when the key is kept; an HTTP date.", 202),
]
_IF_NONE_MATCH = header(
    "If-None-Match", str, "The `ETag` that you have; the answer is 304 if nothing has changed."
)
_PREFER = [
    header(
        "Prefer",
        str,
        "`respond-async, wait=5` (RFC 7240): wait up to so many seconds until it is done. The "
        "server may wait for less, or not at all; see `Preference-Applied`.",
    ),
    header("Preference-Applied", str, "What was granted of `Prefer`.", 200, 202),
]
_LAST_EVENT_ID = header(
    "Last-Event-ID",
    {"type": "string", "pattern": "^[0-9]{1,20}-[0-9]{1,20}$"},
    "The last id that you saw: continue after it.",
)


def _stream(description: str, *problems: int) -> dict[Any, Any]:
    """Return the responses of an operation that streams events."""
    event = OpenApiExample("A change", value=EVENT, media_type=EVENT_STREAM, response_only=True)
    plain = responses(200, None, description, 400, 501, *problems)
    del plain[200]
    return {(200, EVENT_STREAM): OpenApiResponse(str, description, examples=[event])} | plain


submit = _operation(
    "submitPushRequest",
    "Submit a push request",
    "Stores it and answers at once; a worker pushes it.",
    responses(
        202,
        PushRequestSerializer,
        "Accepted.",
        *(400, 409, 413, 415, 422),
        examples={"queued": QUEUED},
    )
    | {
        200: OpenApiResponse(PushRequestSerializer, "It is done: `Prefer: wait` was granted."),
        204: OpenApiResponse(description="It is valid; `validate_only` was asked for."),
    },
    request=NewPushRequest,
    examples=[OpenApiExample("To two devices", value=NEW, request_only=True)],
    parameters=[location(202), retry_after(202), *_IDEMPOTENT, *_PREFER],
)
list_ = _operation(
    "listPushRequests",
    "List your push requests",
    "Newest first, in pages. Follow `next`; do not build cursors.",
    responses(200, PushRequestSerializer(many=True), "A page.", 400),
)
submit_batch = _operation(
    "submitBatch",
    "Submit many at once",
    "Accepted item by item: an invalid one does not affect the others. There is one ticket per "
    "item, in order; pointers start with `/items/<index>`. If no item can be accepted, the answer "
    "is 400.",
    responses(202, BatchAnswerSerializer, "At least one is accepted.", 400, 409, 413, 415, 422)
    | {200: OpenApiResponse(BatchAnswerSerializer, "What `validate_only` found.")},
    request=NewBatch,
    examples=[
        OpenApiExample("Two items", value=NEW_BATCH, request_only=True),
        OpenApiExample(
            "One accepted, one not", value=BATCH_ANSWER, response_only=True, status_codes=["202"]
        ),
    ],
    parameters=[retry_after(202), *_IDEMPOTENT],
)
receipts = _operation(
    "getReceipts",
    "See what became of many",
    "Returns the state of up to 1,000 push requests, each with its receipts if it has at most 10 "
    "addresses. One ticket per id, in order.",
    responses(200, ReceiptsAnswerSerializer, "One ticket per id.", 400, 413, 415),
    request=ReceiptsQuery,
)
events = _operation(
    "followPushRequests",
    "Follow all that happens",
    "Server-sent events (`text/event-stream`): a `status` event for each change of your push "
    "requests, from now on or after `Last-Event-ID`. `gap` means that some were lost. The stream "
    "ends now and then; reconnect with the last id.",
    _stream("What happens, as it happens."),
    parameters=[_LAST_EVENT_ID],
    filters=False,
)
retrieve = _operation(
    "getPushRequest",
    "See what became of one",
    "Always 200: the result of the push is in the body.",
    responses(200, PushRequestSerializer, "Its state.", 404, examples={"partial": DONE})
    | {304: OpenApiResponse(description="Nothing has changed since your `ETag`.")},
    parameters=[
        _IF_NONE_MATCH,
        *_PREFER,
        header("ETag", str, "Different after every change.", 200, 304),
        retry_after(200),
    ],
)
deliveries = _operation(
    "listDeliveries",
    "Read the receipts",
    "One for each address that was tried, in pages.",
    responses(200, DeliverySerializer(many=True), "A page.", 400, 404),
    filters=False,
)
cancel = _operation(
    "cancelPushRequest",
    "Cancel one",
    "If it is waiting, it is canceled. If it is running, no further attempt is made, and what is "
    "in flight is reported truthfully: `cancel_requested_at` is set, and it may still succeed. "
    "Repeating is not an error.",
    responses(200, PushRequestSerializer, "Its state now.", 404, 409),
    parameters=[retry_after(200)],
)
retry = _operation(
    "retryPushRequest",
    "Try one again",
    "Pushes a failed or partial one again, to the addresses that were not accepted.",
    responses(202, PushRequestSerializer, "Accepted.", 404, 409),
    parameters=[location(202), retry_after(202)],
)
events_of_one = _operation(
    "followPushRequest",
    "Follow one",
    "Server-sent events about one push request: its state, then each change. The stream ends with "
    "the final state; reconnecting after that gets a 204.",
    _stream("What happens to it.", 404)
    | {204: OpenApiResponse(description="It is done, and you have seen that.")},
    parameters=[_LAST_EVENT_ID],
    filters=False,
)
