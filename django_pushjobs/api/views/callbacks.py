"""Callback endpoints: register, look, change, rotate, pause, resume, test, replay."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from django.db.models import Model, QuerySet
from rest_framework.decorators import action
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from ...callbacks import endpoints, replays
from ...models import ApiClient, ApiKey, CallbackEndpoint, CallbackEvent, EndpointState, Scope
from ..base import ApiView
from ..callback_serializers import (
    CallbackAttemptSerializer,
    CallbackEndpointSerializer,
    CallbackEventSerializer,
    EndpointChangeSerializer,
    NewEndpointSerializer,
    ReplaySerializer,
)
from ..conditional import ConditionalAuthentication
from ..openapi import callbacks as schema
from ..pagination import PushRequestPagination

_Row = TypeVar("_Row", bound=Model)


class Disabled(APIException):
    status_code = 409
    default_detail = "The endpoint is disabled: resume it first."


class _CallbackView(ApiView, GenericViewSet[_Row]):
    """What both have in common: the client that calls, and the scope of its key."""

    scope = Scope.CALLBACKS
    # The class of the push requests, although nothing is conditional here: OpenAPI would have the
    # security schemes of two classes twice.
    authentication_classes = (ConditionalAuthentication,)
    http_method_names = ["get", "head", "post", "patch", "delete"]  # noqa: RUF012
    pagination_class = PushRequestPagination
    filter_backends = ()
    lookup_url_kwarg = "id"
    lookup_value_converter = "uuid"

    @property
    def client(self) -> ApiClient:
        return cast(ApiKey, self.request.auth).client


class CallbackEndpointViewSet(_CallbackView[CallbackEndpoint]):
    """The endpoints of the client that calls. Those of others do not exist for it."""

    queryset = CallbackEndpoint.objects.all()
    serializer_class = CallbackEndpointSerializer

    def get_queryset(self) -> QuerySet[CallbackEndpoint]:
        return super().get_queryset().filter(client=self.client)

    def get_object(self) -> CallbackEndpoint:
        return self.get_queryset().get(pk=self.kwargs["id"])

    @schema.register
    def create(self, request: Request) -> Response:
        values = NewEndpointSerializer().read(request.data)
        endpoint, secret = endpoints.register(self.client, **values)
        location = request.build_absolute_uri(f"{request.path}/{endpoint.pk}")
        return self._with_secret(endpoint, secret, status=201, headers={"Location": location})

    @schema.list_endpoints
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @schema.retrieve_endpoint
    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        return self._state(self.get_object())

    @schema.change
    def partial_update(self, request: Request, **kwargs: Any) -> Response:
        values = EndpointChangeSerializer().read(request.data)
        return self._state(endpoints.change(self.get_object(), **values))

    @schema.delete
    def destroy(self, request: Request, **kwargs: Any) -> Response:
        endpoints.delete(self.get_object())
        return Response(status=204)

    @schema.rotate
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, **kwargs: Any) -> Response:
        endpoint = self.get_object()
        return self._with_secret(endpoint, endpoints.rotate(endpoint))

    @schema.pause
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, **kwargs: Any) -> Response:
        endpoint = self.get_object()
        endpoints.pause(endpoint)
        return self._state(endpoint)

    @schema.resume
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, **kwargs: Any) -> Response:
        endpoint = self.get_object()
        endpoints.resume(endpoint)
        return self._state(endpoint)

    @schema.test
    @action(detail=True, methods=["post"])
    def test(self, request: Request, **kwargs: Any) -> Response:
        event = endpoints.send_test(self._living())
        return Response(CallbackEventSerializer(event).data, status=202)

    @schema.replay_since
    @action(detail=True, methods=["post"])
    def replay(self, request: Request, **kwargs: Any) -> Response:
        values = ReplaySerializer().read(request.data)
        replayed = replays.replay_since(endpoints=[self._living()], **values)
        return Response({"replayed": replayed}, status=202)

    @schema.list_events
    @action(detail=True, serializer_class=CallbackEventSerializer)
    def events(self, request: Request, **kwargs: Any) -> Response:
        events = self.get_object().events.defer("data")
        page = self.paginate_queryset(events)  # type: ignore[arg-type]
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def _living(self) -> CallbackEndpoint:
        endpoint = self.get_object()
        if endpoint.state == EndpointState.DISABLED:
            raise Disabled
        return endpoint

    def _state(self, endpoint: CallbackEndpoint) -> Response:
        return Response(self.get_serializer(endpoint).data)

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

    def get_object(self) -> CallbackEvent:
        return self.get_queryset().get(pk=self.kwargs["id"])

    @schema.retrieve_event
    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        return Response(self.get_serializer(self.get_object()).data)

    @schema.list_attempts
    @action(detail=True, serializer_class=CallbackAttemptSerializer, pagination_class=None)
    def attempts(self, request: Request, **kwargs: Any) -> Response:
        journal = self.get_object().journal.all()
        return Response(self.get_serializer(journal, many=True).data)

    @schema.replay
    @action(detail=True, methods=["post"])
    def replay(self, request: Request, **kwargs: Any) -> Response:
        event = self.get_object()
        if event.endpoint.state == EndpointState.DISABLED:
            raise Disabled
        replays.replay(event)
        event.refresh_from_db()
        return Response(self.get_serializer(event).data, status=202)
