"""Callback endpoints: register, look, change, rotate, pause, resume, test, replay."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from django.db.models import Model, QuerySet
from django.views.decorators.debug import sensitive_variables
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from ...callbacks import endpoints, replays
from ...models import CallbackEndpoint, CallbackEvent, EndpointState, Scope
from .. import bodies
from ..base import ApiView
from ..exceptions import EndpointDisabled
from ..openapi import callbacks as operations
from ..pagination import PushRequestPagination
from ..serializers.callbacks import (
    CallbackAttemptSerializer,
    CallbackEndpointChange,
    CallbackEndpointSerializer,
    CallbackEventSerializer,
    CallbackReplay,
    NewCallbackEndpoint,
)

_Row = TypeVar("_Row", bound=Model)

#: Attempts at a callback that are shown, the last ones.
MAX_ATTEMPTS_SHOWN: Final = 100


class _CallbackView(ApiView, GenericViewSet[_Row]):
    """What the two viewsets have in common."""

    scope = Scope.CALLBACKS
    http_method_names = ["get", "head", "post", "patch", "delete"]  # noqa: RUF012
    pagination_class = PushRequestPagination
    filter_backends = ()
    lookup_url_kwarg = "id"
    lookup_value_converter = "uuid"

    def get_object(self) -> _Row:
        row: _Row = self.get_queryset().get(pk=self.kwargs["id"])
        return row


class CallbackEndpointViewSet(_CallbackView[CallbackEndpoint]):
    """The endpoints of the client that calls. Those of others do not exist for it."""

    queryset = CallbackEndpoint.objects.all()
    serializer_class = CallbackEndpointSerializer

    def get_queryset(self) -> QuerySet[CallbackEndpoint]:
        return super().get_queryset().filter(client=self.client)

    @operations.register
    @sensitive_variables("secret")
    def create(self, request: Request) -> Response:
        values = bodies.read(NewCallbackEndpoint, request.data)
        self._ask_for_a_call()
        endpoint, secret = endpoints.register(self.client, trusted=False, **values)
        location = request.build_absolute_uri(f"{request.path}/{endpoint.pk}")
        return self._with_secret(endpoint, secret, status=201, headers={"Location": location})

    @operations.list_endpoints
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @operations.retrieve_endpoint
    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        return self._state(self.get_object())

    @operations.change
    def partial_update(self, request: Request, **kwargs: Any) -> Response:
        values = bodies.read(CallbackEndpointChange, request.data)
        endpoint = self.get_object()
        if "url" in values:
            self._ask_for_a_call()
        return self._state(endpoints.change(endpoint, trusted=False, **values))

    @operations.delete
    def destroy(self, request: Request, **kwargs: Any) -> Response:
        endpoints.delete(self.get_object())
        return Response(status=204)

    @operations.rotate
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, **kwargs: Any) -> Response:
        endpoint = self.get_object()
        return self._with_secret(endpoint, endpoints.rotate(endpoint))

    @operations.pause
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, **kwargs: Any) -> Response:
        endpoint = self.get_object()
        endpoints.pause(endpoint)
        return self._state(endpoint)

    @operations.resume
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, **kwargs: Any) -> Response:
        endpoint = self.get_object()
        if endpoint.verified_at is None:
            self._ask_for_a_call()
        endpoints.resume(endpoint)
        return self._state(endpoint)

    @operations.test
    @action(detail=True, methods=["post"])
    def test(self, request: Request, **kwargs: Any) -> Response:
        endpoint = _enabled(self.get_object())
        self._ask_for_a_call()
        event = endpoints.send_test(endpoint)
        return Response(CallbackEventSerializer(event).data, status=202)

    @operations.list_events
    @action(detail=True, serializer_class=CallbackEventSerializer)
    def events(self, request: Request, **kwargs: Any) -> Response:
        events = self.get_object().events.defer("data")
        page = self.paginate_queryset(events)  # type: ignore[arg-type]
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @operations.replay_since
    @action(detail=True, methods=["post"])
    def replay(self, request: Request, **kwargs: Any) -> Response:
        values = bodies.read(CallbackReplay, request.data)
        replayed = replays.replay_since(endpoints=[_enabled(self.get_object())], **values)
        return Response({"replayed": replayed}, status=202)

    def _ask_for_a_call(self) -> None:
        """Admit a call of ours that is about nothing that has happened.

        :raises LimitExceeded: there were too many.
        """
        if self.admission is not None:
            self.admission.test()

    def _state(self, endpoint: CallbackEndpoint) -> Response:
        return Response(self.get_serializer(endpoint).data)

    @sensitive_variables("secret", "data", "response")
    def _with_secret(self, endpoint: CallbackEndpoint, secret: str, **kwargs: Any) -> Response:
        data = {**self.get_serializer(endpoint).data, "secret": secret}
        response = Response(data, **kwargs)
        response.headers["Cache-Control"] = "no-store"
        return response


class CallbackEventViewSet(_CallbackView[CallbackEvent]):
    """The callbacks to the endpoints of the client that calls."""

    queryset = CallbackEvent.objects.select_related("endpoint")
    serializer_class = CallbackEventSerializer

    def get_queryset(self) -> QuerySet[CallbackEvent]:
        return super().get_queryset().filter(endpoint__client=self.client)

    @operations.retrieve_event
    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        return Response(self.get_serializer(self.get_object()).data)

    @operations.replay
    @action(detail=True, methods=["post"])
    def replay(self, request: Request, **kwargs: Any) -> Response:
        event = self.get_object()
        _enabled(event.endpoint)
        replays.replay(event)
        event.refresh_from_db()
        return Response(self.get_serializer(event).data, status=202)

    @operations.list_attempts
    @action(detail=True, serializer_class=CallbackAttemptSerializer, pagination_class=None)
    def attempts(self, request: Request, **kwargs: Any) -> Response:
        # A callback may be replayed as often as somebody likes.
        journal = self.get_object().journal.order_by("-id")[:MAX_ATTEMPTS_SHOWN]
        return Response(self.get_serializer([*reversed(journal)], many=True).data)


def _enabled(endpoint: CallbackEndpoint) -> CallbackEndpoint:
    """Return ``endpoint``.

    :raises EndpointDisabled: it is.
    """
    if endpoint.state == EndpointState.DISABLED:
        raise EndpointDisabled
    return endpoint
