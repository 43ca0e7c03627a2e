"""Push requests: submit, look, cancel, retry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpResponseBase
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from ... import services
from ...callbacks.endpoints import CallbackUrls
from ...conf import conf
from ...exceptions import InvalidPushRequest
from ...models import Delivery, PushRequest, Scope
from ...runtime.turns import in_turns
from ...submission.acceptance import accept
from ...submission.submissions import Submission
from .. import bodies, parameters, sse
from ..addresses import NamedAddresses
from ..base import ApiView
from ..conditional import etag_of, known_etag, not_modified
from ..exception_handler import problem_for
from ..filters import PushRequestFilter, StrictFilterBackend
from ..idempotency import accept_once, amend, call_of, response_to
from ..openapi import push_requests as operations
from ..pagination import DeliveryPagination, PushRequestPagination
from ..serializers.push_requests import DeliverySerializer, PushRequestSerializer, ReceiptsQuery
from ..serializers.submissions import SubmissionReader
from ..waiting import Preferences, wait_for_end

#: A request with at most so many addresses is shown with its receipts.
INLINE_RECEIPTS: Final = 10
#: Requests that are read at a time: with the receipts, and with more recipients than receipts.
_TOGETHER: Final = 50


class PushRequestViewSet(ApiView, GenericViewSet[PushRequest]):
    """The push requests of the client that calls. Those of others do not exist for it."""

    # The message is never shown, so it is not read either.
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
    def test_backend(self) -> str | None:
        """The only backend that a test key may use; None if the key is a live one."""
        return conf().TEST_BACKEND if self.client.is_test else None

    def get_queryset(self) -> QuerySet[PushRequest]:
        return super().get_queryset().filter(client=self.client)

    def get_object(self) -> PushRequest:
        return self.get_queryset().get(pk=self.kwargs["id"])

    @operations.submit
    def create(self, request: Request) -> HttpResponseBase:
        parameters.refuse_unknown(request)
        call = call_of(request, self.client)
        if call is not None and (stored := call.stored()) is not None:
            return response_to(stored)
        submission, validate_only = self._reader().read(request.data)
        if validate_only:
            return Response(status=204)
        if call is None:
            [row] = accept([submission], client=self.client, admission=self.admission)
            return self._accepted_or_final(row)
        made: Any = []

        def respond(rows: Sequence[PushRequest]) -> Response:
            made.extend(rows)
            return self._accepted(rows[0])

        answer = accept_once(call, [submission], respond, self.admission)
        if not answer.replayed and Preferences.of(request.headers).wait:
            answer = amend(call, answer, self._accepted_or_final(made[0]))
        return response_to(answer)

    @operations.list_
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response([*self._many(page or ())])

    @operations.submit_batch
    @action(detail=False, methods=["post"])
    def batch(self, request: Request) -> HttpResponseBase:
        parameters.refuse_unknown(request)
        call = call_of(request, self.client)
        if call is not None and (stored := call.stored()) is not None:
            return response_to(stored)
        items, validate_only = self._reader().read_batch(request.data)
        if validate_only:
            valid = {"status": 204}
            tickets = [valid if isinstance(i, Submission) else _refused(i) for i in in_turns(items)]
            return Response({"items": tickets})
        submissions = [item for item in items if isinstance(item, Submission)]
        if call is None:
            rows = accept(submissions, client=self.client, admission=self.admission)
            return self._accepted_batch(items, rows)
        respond = partial(self._accepted_batch, items)
        return response_to(accept_once(call, submissions, respond, self.admission))

    @operations.receipts
    @action(detail=False, methods=["post"], scope=Scope.READ)
    def receipts(self, request: Request) -> Response:
        ids = bodies.read(ReceiptsQuery, request.data)["ids"]
        wanted = list(dict.fromkeys(ids))
        rows = {
            row.pk: row
            for some in _portions(wanted)
            for row in self.get_queryset().filter(pk__in=some)
        }
        few = [pk for pk, row in rows.items() if row.total <= INLINE_RECEIPTS]
        shown = self._shown(few)
        receipts = [self._receipt(pk, rows.get(pk), shown.get(pk)) for pk in in_turns(ids)]
        return Response({"items": receipts})

    @operations.events
    @action(detail=False)
    def events(self, request: Request) -> HttpResponseBase:
        return sse.respond(request, self.client.pk, None)

    @operations.retrieve
    def retrieve(self, request: Request, **kwargs: Any) -> HttpResponseBase:
        preferences = Preferences.of(request.headers)
        tag = None if preferences.wait else known_etag(request)
        if tag is not None and (unchanged := not_modified(request, tag)) is not None:
            return unchanged
        row = self.get_object()
        if preferences.wait:
            row = wait_for_end(row, preferences.wait, self.get_object)
        tag = etag_of(row)
        response = not_modified(request, tag) or self._state(row)
        response.headers["ETag"] = tag
        for name, value in preferences.applied(to_submit=False).items():
            response.headers[name] = value
        return response

    @operations.deliveries
    @action(
        detail=True,
        pagination_class=DeliveryPagination,
        filter_backends=(),
        serializer_class=DeliverySerializer,
    )
    def deliveries(self, request: Request, **kwargs: Any) -> Response:
        with_recipients = self.get_queryset().defer(None).only("backend", "recipients")
        row = with_recipients.get(pk=self.kwargs["id"])
        page = self.paginate_queryset(row.deliveries.all())  # type: ignore[arg-type]
        return self.get_paginated_response(_receipts(page, NamedAddresses.of(row)))

    @operations.cancel
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, **kwargs: Any) -> Response:
        return self._state(services.cancel(self.get_object().pk))

    @operations.retry
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, **kwargs: Any) -> Response:
        return self._accepted(services.retry(self.get_object().pk, admission=self.admission))

    @operations.events_of_one
    @action(detail=True, url_path="events", url_name="events-of-one")
    def events_of_one(self, request: Request, **kwargs: Any) -> HttpResponseBase:
        return sse.respond(request, self.client.pk, self.get_object())

    def _reader(self) -> SubmissionReader:
        client = self.client
        return SubmissionReader(
            self.trace,
            CallbackUrls(client),
            self.test_backend,
            may_broadcast=client.may_broadcast,
        )

    def _accepted_or_final(self, row: PushRequest) -> Response:
        """Return the answer to a submission that may prefer to wait for the end."""
        preferences = Preferences.of(self.request.headers)
        if preferences.wait:
            row = wait_for_end(row, preferences.wait, lambda: self.get_queryset().get(pk=row.pk))
        response = self._state(row) if row.is_final else self._accepted(row)
        for name, value in preferences.applied(to_submit=True).items():
            response.headers[name] = value
        return response

    def _accepted(self, row: PushRequest) -> Response:
        data = self.get_serializer(row).data
        headers = {"Location": data["links"]["self"], **_retry_after()}
        return Response(data, status=202, headers=headers)

    def _accepted_batch(
        self, items: Sequence[Submission | InvalidPushRequest], rows: Sequence[PushRequest]
    ) -> Response:
        accepted = self._many(rows)
        tickets = [
            {"status": 202, "push_request": next(accepted)}
            if isinstance(item, Submission)
            else _refused(item)
            for item in in_turns(items)
        ]
        return Response({"items": tickets}, status=202, headers=_retry_after())

    def _many(self, rows: Iterable[PushRequest]) -> Iterator[dict[str, Any]]:
        serializer = self.get_serializer()
        return (serializer.to_representation(row) for row in in_turns(rows))

    def _receipt(self, pk: UUID, row: PushRequest | None, deliveries: Any) -> dict[str, Any]:
        if row is None:
            problem = problem_for(PushRequest.DoesNotExist())
            return {"id": str(pk), "status": problem.status, "problem": problem.as_dict()}
        return {
            "id": str(pk),
            "status": 200,
            "push_request": self.get_serializer(row).data,
            "deliveries": deliveries,
        }

    def _shown(self, ids: Sequence[UUID]) -> dict[UUID, Any]:
        """Return the receipts of several requests, by the key of the request."""
        shown: dict[UUID, Any] = {pk: [] for pk in ids}
        for some in _portions(ids):
            deliveries: dict[UUID, list[Delivery]] = {}
            for delivery in Delivery.objects.filter(request__in=some).order_by("pk"):
                deliveries.setdefault(delivery.request_id, []).append(delivery)
            rows = PushRequest.objects.filter(pk__in=list(deliveries)) if deliveries else None
            for row in rows.only("backend", "recipients") if rows is not None else ():
                shown[row.pk] = _receipts(deliveries[row.pk], NamedAddresses.of(row))
        return shown

    def _state(self, row: PushRequest) -> Response:
        headers = {} if row.is_final else _retry_after()
        return Response(self.get_serializer(row).data, headers=headers)


def _portions(ids: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    """Yield a few of ``ids`` at a time: what is read of each row takes a while."""
    starts = range(0, len(ids), _TOGETHER)
    return in_turns(ids[start : start + _TOGETHER] for start in starts)


def _receipts(deliveries: Any, named: NamedAddresses) -> Any:
    """Return ``deliveries`` as a third party sees them."""
    serializer = DeliverySerializer(context={"named": named})
    return [serializer.to_representation(delivery) for delivery in in_turns(deliveries)]


def _refused(item: InvalidPushRequest) -> dict[str, Any]:
    """Return the ticket of an item that is invalid."""
    problem = problem_for(item)
    return {"status": problem.status, "problem": problem.as_dict()}


def _retry_after() -> dict[str, str]:
    return {"Retry-After": str(conf().POLL_INTERVAL)}
