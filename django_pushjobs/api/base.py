"""What every view of the API has in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.http import HttpRequest
from django.utils.decorators import method_decorator
from rest_framework.authentication import BaseAuthentication
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.schemas.inspectors import ViewInspector
from rest_framework.views import APIView

from .. import sentry
from ..limits.admission import Admission
from ..models import ApiKey, Scope
from . import throttling
from .authentication import ApiKeyAuthentication
from .openapi.document import ApiSchema
from .parsers import StrictJSONParser
from .permissions import HasScope, IsClient
from .problems import problem_handler
from .tracing import Trace


class ResourceRenderer(JSONRenderer):
    """JSON as RFC 8259 has it, whatever the project's REST framework settings are."""

    charset = None
    compact = True
    ensure_ascii = False
    strict = True


class AlwaysJSON(BaseContentNegotiation):
    """There is one representation, so ``Accept`` cannot ask for another (RFC 9110, 12.4.1)."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        content_type = request.content_type.partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == content_type), None)

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


# With ATOMIC_REQUESTS the doorbell would wait for the whole request, and a database that is down
# would be met before we can answer for it.
@method_decorator(transaction.non_atomic_requests, name="dispatch")
class ApiView(APIView):
    """Every policy of the API, set here so that the project's REST framework settings, which are
    for its own API, cannot change ours."""

    renderer_classes = (ResourceRenderer,)
    parser_classes = (StrictJSONParser,)
    authentication_classes: Sequence[type[BaseAuthentication]] = (ApiKeyAuthentication,)
    permission_classes: Sequence[type[BasePermission]] = (IsClient, HasScope)
    throttle_classes = ()
    content_negotiation_class = AlwaysJSON
    metadata_class = None
    versioning_class = None
    http_method_names = ["get", "head", "post"]  # noqa: RUF012  (as declared upstream)
    schema: ViewInspector | None = ApiSchema()

    #: What a key must be good for; None: to read where the method is safe, else to submit.
    scope: Scope | None = None

    trace: Trace
    admission: Admission | None = None

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        sentry.protect()
        self.trace = Trace.of(request.headers)
        return super().initialize_request(request, *args, **kwargs)

    def check_throttles(self, request: Request) -> None:
        """Our limits are those of a client, not those of REST framework's settings."""
        if isinstance(request.auth, ApiKey):
            self.admission = Admission(request.auth.client)
            self.admission.call()

    def get_exception_handler(self) -> Callable[[Exception, Mapping[str, Any]], Response]:
        return problem_handler

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        if response.status_code != 405:
            del response.headers["Allow"]
        response.headers["X-Request-ID"] = self.trace.request_id
        response.headers.setdefault("Cache-Control", "private, no-cache")
        if self.admission is not None:
            for name, value in throttling.headers(self.admission).items():
                response.headers[name] = value
        return response
