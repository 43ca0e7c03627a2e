"""Push requests as they are submitted, one or many."""

from __future__ import annotations

from typing import Any

from ...callbacks.endpoints import CallbackUrls
from ...exceptions import FieldError, InvalidPushRequest, pointer_to
from ...runtime.turns import in_turns
from ...states import OnUnknown, Priority
from ...submission.submissions import (
    MAX_BODY,
    MAX_COLLAPSE_KEY,
    MAX_REFERENCE,
    MAX_TITLE,
    MAX_TTL,
    Submission,
)
from ...transport.destinations import MAX_URL
from .. import bodies
from ..bodies import Body
from ..exceptions import InvalidItem
from ..fields import (
    BatchField,
    BooleanField,
    IntegerField,
    ListField,
    NameField,
    ObjectField,
    StringField,
    TimeField,
)
from ..tracing import Trace

#: A text that people read: of the control characters, only tabs and line ends.
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


class ValidateOnlyField(BooleanField):
    null_error = "invalid_type"

    def __init__(self) -> None:
        super().__init__(
            required=False,
            schema={"default": False},
            help_text="Report what is wrong with it, and store nothing (AIP-163).",
        )


class NewBatchItem(Body):
    """A push request to be accepted. Members that are not listed here are refused."""

    invalid = InvalidPushRequest

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
        required=False, help_text="Data for the app on the device."
    )
    options = ObjectField(required=False, help_text="Options for the provider.")
    backend = NameField(
        required=False,
        allow_null=True,
        schema={"maxLength": 64},
        help_text="The backend that pushes it; the server has a default.",
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
        help_text="A later message with the same key replaces this one, if the provider can.",
    )
    on_unknown = StringField(
        required=False,
        allow_null=True,
        schema={"enum": OnUnknown.values},
        help_text="What to do if the message was sent but the provider's answer was not seen: "
        "`retry`, and it may show twice, or `stop`, and it may never show.",
    )
    callback_url = StringField(
        required=False,
        schema={"maxLength": MAX_URL},
        help_text="Called when it ends, instead of your endpoint at the same host, if you may.",
    )
    reference = StringField(
        required=False, schema={"maxLength": MAX_REFERENCE}, help_text="Your own name for it."
    )


class NewPushRequest(NewBatchItem):
    """A push request to be accepted. Members that are not listed here are refused."""

    validate_only = ValidateOnlyField()


class NewBatch(Body):
    """Push requests to be accepted one by one."""

    invalid = InvalidPushRequest

    items = BatchField(of=NewBatchItem)
    validate_only = ValidateOnlyField()


class SubmissionReader:
    """Reads what one call submits.

    :param trace: where the call came from; goes with each submission.
    :param callback_urls: what the client may name as ``callback_url``.
    :param may_broadcast: whether it may name recipients that are many devices.
    :param backend: the alias to use instead of the one that a submission names; None to use that.
    """

    def __init__(
        self,
        trace: Trace,
        callback_urls: CallbackUrls,
        backend: str | None = None,
        *,
        may_broadcast: bool,
    ) -> None:
        self._trace = trace
        self._callback_urls = callback_urls
        self._backend = backend
        self._may_broadcast = may_broadcast

    def read(self, body: Any) -> tuple[Submission, bool]:
        """Return the submission in the ``body`` of a call, and its ``validate_only``.

        :raises InvalidPushRequest: every field at fault is named.
        """
        values, errors = bodies.members(NewPushRequest, body)
        validate_only: bool = values.pop("validate_only", False)
        return self._submission(values, errors), validate_only

    def read_batch(self, body: Any) -> tuple[list[Submission | InvalidPushRequest], bool]:
        """Return what is in the ``body`` of a call: for each item the submission, or what is wrong
        with it, in order; and ``validate_only``.

        :raises InvalidPushRequest: it is not a batch, or no item of it can be accepted.
        """
        values = bodies.read(NewBatch, body)
        items = [self._item(index, item) for index, item in enumerate(in_turns(values["items"]))]
        invalid = [item for item in items if isinstance(item, InvalidPushRequest)]
        if len(invalid) == len(items):
            raise InvalidPushRequest([error for item in invalid for error in item.errors])
        return items, values.get("validate_only", False)

    def _item(self, index: int, item: Any) -> Submission | InvalidPushRequest:
        try:
            return self._submission(*bodies.members(NewBatchItem, item))
        except InvalidPushRequest as invalid:
            place = pointer_to("items", index)
            few = invalid.errors[: InvalidItem.MAX_ERRORS + 1]
            return InvalidItem([error.below(place) for error in few])

    def _submission(self, values: dict[str, Any], errors: list[FieldError]) -> Submission:
        """Return the submission that ``values`` make, if there are no ``errors`` in it.

        :raises InvalidPushRequest: there are, or it breaks a rule.
        """
        if self._backend is not None:
            values["backend"] = self._backend
        # Of recipients that could not be read there are none, so that the other rules are checked.
        values.setdefault("recipients", ())
        submission = Submission(
            **values, request_id=self._trace.request_id, traceparent=self._trace.traceparent
        )
        try:
            submission.check()
        except InvalidPushRequest as invalid:
            # What could not be read is named already.
            named = {error.pointer for error in errors}
            errors += [e for e in invalid.errors if _member(e.pointer) not in named]
        if not errors:
            errors += self._callback_urls.errors_in(submission.callback_url)
            if not self._may_broadcast:
                errors += submission.broadcast_errors()
        if errors:
            raise InvalidPushRequest(errors)
        return submission


def _member(pointer: str) -> str:
    """Return the part of a pointer that leads to a member of the whole."""
    return "/" + pointer[1:].partition("/")[0]
