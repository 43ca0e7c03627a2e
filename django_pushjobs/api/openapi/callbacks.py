"""The operations on callback endpoints and callbacks."""

from __future__ import annotations

from functools import partial
from typing import Final

from drf_spectacular.utils import OpenApiExample

from ..serializers.callbacks import (
    CallbackAttemptSerializer,
    CallbackEndpointChange,
    CallbackEndpointSerializer,
    CallbackEventSerializer,
    CallbackReplay,
    CallbackSecretSerializer,
    NewCallbackEndpoint,
    ReplayedSerializer,
)
from .describe import location, operation, responses

TAG: Final = "Callbacks"

_operation = partial(operation, tag=TAG)


register = _operation(
    "registerCallbackEndpoint",
    "Register an endpoint",
    "The answer contains its secret, this once. The URL must be https, and its host on the public "
    "internet; that is checked now and at every call. The first call is a challenge, a second from "
    "now: until the URL has answered with it, the endpoint is *unverified* and its callbacks wait.",
    responses(201, CallbackSecretSerializer, "Registered.", 400, 409, 413, 415),
    request=NewCallbackEndpoint,
    parameters=[location(201)],
    examples=[
        OpenApiExample(
            "For everything that is done",
            value={"url": "https://shop.example/pushes"},
            request_only=True,
        )
    ],
)
list_endpoints = _operation(
    "listCallbackEndpoints",
    "List your endpoints",
    "With their state, and the reason if one is disabled.",
    responses(200, CallbackEndpointSerializer(many=True), "A page.", 400),
)
retrieve_endpoint = _operation(
    "getCallbackEndpoint",
    "See how one is doing",
    "Its state, since when it has been failing, and until when it is not called.",
    responses(200, CallbackEndpointSerializer, "Its state.", 404),
)
change = _operation(
    "changeCallbackEndpoint",
    "Change one",
    "What is not sent stays as it is, and so does its secret. Another URL has to answer a "
    "challenge first.",
    responses(200, CallbackEndpointSerializer, "As it is now.", 400, 404, 413, 415),
    request=CallbackEndpointChange,
)
delete = _operation(
    "deleteCallbackEndpoint",
    "Delete one",
    "With its callbacks: those that are waiting are not sent.",
    responses(204, None, "Deleted.", 404),
)
rotate = _operation(
    "rotateCallbackSecret",
    "Give one a new secret",
    "The answer contains it, this once. Until `previous_secret_expires_at` callbacks are signed "
    "with the previous one as well.",
    responses(200, CallbackSecretSerializer, "With the new secret.", 404),
)
pause = _operation(
    "pauseCallbackEndpoint",
    "Pause one",
    "It is not called until it is resumed; its callbacks wait. Repeating is not an error.",
    responses(200, CallbackEndpointSerializer, "As it is now.", 404),
)
resume = _operation(
    "resumeCallbackEndpoint",
    "Resume one",
    "Whether it was paused or disabled. What happened while it was disabled is not sent by itself: "
    "replay it.",
    responses(200, CallbackEndpointSerializer, "As it is now.", 404),
)
test = _operation(
    "testCallbackEndpoint",
    "Send it a test",
    "A callback of the type `push.endpoint.test`, or another challenge if it is unverified; read "
    "its attempts a moment later.",
    responses(202, CallbackEventSerializer, "On its way.", 404, 409),
)
list_events = _operation(
    "listCallbacks",
    "List its callbacks",
    "Newest first, in pages, for as long as callbacks are kept.",
    responses(200, CallbackEventSerializer(many=True), "A page.", 400, 404),
)
replay_since = _operation(
    "replayCallbacks",
    "Send again what happened since a time",
    "With the same ids and bodies. Those that are waiting for an attempt are not touched.",
    responses(202, ReplayedSerializer, "On their way.", 400, 404, 409, 413, 415),
    request=CallbackReplay,
)
retrieve_event = _operation(
    "getCallback",
    "See the state of a callback",
    "By its `webhook-id`.",
    responses(200, CallbackEventSerializer, "Its state.", 404),
)
replay = _operation(
    "replayCallback",
    "Send it again",
    "With the same id and body. One that is waiting for an attempt is not touched.",
    responses(202, CallbackEventSerializer, "On its way.", 404, 409),
)
list_attempts = _operation(
    "listCallbackAttempts",
    "Read its attempts",
    "With their status, their time, and the first part of each answer.",
    responses(200, CallbackAttemptSerializer(many=True), "All of them.", 404),
)
