"""What the views of the API have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, cast

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.schemas.inspectors import ViewInspector
from rest_framework.views import APIView

from .. import reporting, sentry
from ..limits.admission import Admission
from ..models import ApiClient, ApiKey, Scope
from . import lines, throttling
from .conditional import ConditionalAuthentication
from .exception_handler import problem_handler
from .exceptions import TooManyCalls
from .negotiation import AlwaysJSON
from .openapi.schema import ApiSchema
from .parsers import SMALL, StrictJSONParser, announced_length
from .permissions import HasScope, IsClient
from .renderers import ResourceRenderer
from .tracing import Trace


class JSONView(APIView):
    """Strict JSON comes in, JSON and problems go out, and every answer has its ``X-Request-ID``."""

    renderer_classes = (ResourceRenderer,)
    parser_classes = (StrictJSONParser,)
    content_negotiation_class = AlwaysJSON

    #: Whether who calls is told by an API key.
    needs_key = False

    trace: Trace
    caller = 0
    refusal: TooManyCalls | None = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.caller = lines.caller_of(request, has_key=self.needs_key)
        with ExitStack() as turn:
            try:
                turn.enter_context(lines.turn(self.caller))
            except TooManyCalls as refused:
                self.refusal = refused
            return super().dispatch(request, *args, **kwargs)

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        # Messages and addresses stay out of error reports.
        sentry.protect()
        reporting.protect(request)
        self.trace = Trace.of(request.headers)
        return super().initialize_request(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if self.refusal is not None:
            raise self.refusal
        # A body may come as slowly as its sender likes: as long as we wait for it, we hold no
        # connection to the database, and others have our turn. A large one is read later, see
        # there.
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if announced_length(request) <= (SMALL if limit is None else min(SMALL, limit)):
            with lines.aside():
                _ = request._request.body
        super().initial(request, *args, **kwargs)
        lines.recognise(self.caller)

    def get_exception_handler(self) -> Callable[[Exception, Mapping[str, Any]], Response]:
        return problem_handler

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        response.headers["X-Request-ID"] = self.trace.request_id
        return response


# With ATOMIC_REQUESTS a push request would not be enqueued before the end of the whole call, and we
# could not answer for a database that is down.
@method_decorator(transaction.non_atomic_requests, name="dispatch")
class ApiView(JSONView):
    """A call of a third party, which has a key.

    Every policy is set here: the project's REST framework settings are for the project's own API
    and must not change ours.
    """

    # For every view: with two classes OpenAPI would have the security schemes twice.
    authentication_classes: Sequence[type[BaseAuthentication]] = (ConditionalAuthentication,)
    permission_classes: Sequence[type[BasePermission]] = (IsClient, HasScope)
    throttle_classes = ()
    metadata_class = None
    versioning_class = None
    http_method_names = ["get", "head", "post"]  # noqa: RUF012  (as declared upstream)
    schema: ViewInspector | None = ApiSchema()

    needs_key = True
    #: The scope that a key needs; None: ``read`` if the method is safe, else ``submit``.
    scope: Scope | None = None

    admission: Admission | None = None

    @property
    def key(self) -> ApiKey:
        return cast(ApiKey, self.request.auth)

    @property
    def client(self) -> ApiClient:
        return self.key.client

    def check_throttles(self, request: Request) -> None:
        """Check the limits of the client, not those of REST framework's settings."""
        if isinstance(request.auth, ApiKey):
            self.admission = Admission(request.auth.client)
            self.admission.call()

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        if response.status_code != 405:
            del response.headers["Allow"]
        response.headers.setdefault("Cache-Control", "private, no-cache")
        if self.admission is not None:
            for name, value in throttling.headers(self.admission).items():
                response.headers[name] = value
        return response
