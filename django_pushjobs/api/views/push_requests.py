"""Push requests: submit, look, cancel, retry."""

from __future__ import annotations

from typing import Any, cast

from django.db.models import QuerySet
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from ... import services
from ...conf import conf
from ...models import ApiClient, ApiKey, PushRequest
from ...submissions import Submission
from .. import schema
from ..base import ApiView
from ..filters import PushRequestFilter, StrictFilterBackend
from ..pagination import DeliveryPagination, PushRequestPagination
from ..problems import problem_for
from ..serializers import (
    BatchSerializer,
    DeliverySerializer,
    PushRequestSerializer,
    SubmissionSerializer,
)


class PushRequestViewSet(ApiView, GenericViewSet[PushRequest]):
    """The push requests of the client that calls. Those of others do not exist for it."""

    # What was to be pushed is never shown, so it is not read either.
    queryset = PushRequest.objects.defer(
        "recipients", "title", "body", "data", "options", "traceparent"
    )
    serializer_class = PushRequestSerializer
    lookup_url_kwarg = "id"
    lookup_value_converter = "uuid"
    filter_backends = (StrictFilterBackend,)
    filterset_class = PushRequestFilter
    pagination_class = PushRequestPagination

    @property
    def client(self) -> ApiClient:
        return cast(ApiKey, self.request.auth).client

    def get_queryset(self) -> QuerySet[PushRequest]:
        return super().get_queryset().filter(client=self.client)

    def get_object(self) -> PushRequest:
        return self.get_queryset().get(pk=self.kwargs["id"])

    @schema.submit
    def create(self, request: Request) -> Response:
        submission = SubmissionSerializer().read(request.data, self.trace)
        [row] = services.accept([submission], client=self.client, admission=self.admission)
        return self._accepted(row)

    @schema.submit_batch
    @action(detail=False, methods=["post"])
    def batch(self, request: Request) -> Response:
        items = BatchSerializer().read(request.data, self.trace)
        submissions = [item for item in items if isinstance(item, Submission)]
        rows = services.accept(submissions, client=self.client, admission=self.admission)
        accepted = iter(self.get_serializer(rows, many=True).data)
        tickets = [
            {"status": 202, "push_request": next(accepted)}
            if isinstance(item, Submission)
            else {"status": 400, "problem": problem_for(item).as_dict()}
            for item in items
        ]
        return Response({"items": tickets}, status=202, headers=_retry_after())

    @schema.list_
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @schema.retrieve
    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        return self._state(self.get_object())

    @schema.cancel
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, **kwargs: Any) -> Response:
        return self._state(services.cancel(self.get_object().pk))

    @schema.retry
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, **kwargs: Any) -> Response:
        return self._accepted(services.retry(self.get_object().pk))

    @schema.deliveries
    @action(
        detail=True,
        pagination_class=DeliveryPagination,
        filter_backends=(),
        serializer_class=DeliverySerializer,
    )
    def deliveries(self, request: Request, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.get_object().deliveries.all())  # type: ignore[arg-type]
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def _accepted(self, row: PushRequest) -> Response:
        data = self.get_serializer(row).data
        headers = {"Location": data["links"]["self"], **_retry_after()}
        return Response(data, status=202, headers=headers)

    def _state(self, row: PushRequest) -> Response:
        headers = {} if row.is_final else _retry_after()
        return Response(self.get_serializer(row).data, headers=headers)


def _retry_after() -> dict[str, str]:
    return {"Retry-After": str(conf().POLL_INTERVAL)}
