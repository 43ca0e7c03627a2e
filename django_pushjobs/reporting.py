"""Django's error reports, as they are mailed to ``ADMINS``, without keys and secrets.

A report holds the settings, the headers and the local variables of each frame. Functions that a
secret passes through say so with Django's ``sensitive_variables``; what that cannot reach is left
out here.
"""

from __future__ import annotations

from collections.abc import ItemsView, Mapping
from functools import cache
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from django.http import HttpRequest
from django.http.request import HttpHeaders
from django.views.debug import SafeExceptionReporterFilter, get_exception_reporter_filter

#: Headers that a key may come in, as WSGI names them.
_KEYS: Final = frozenset({"HTTP_AUTHORIZATION", "HTTP_X_API_KEY"})

if TYPE_CHECKING:
    _Filter = SafeExceptionReporterFilter
else:
    _Filter = object


class KeepsSecrets(_Filter):
    """Extends a filter of Django's, or of the project."""

    def get_safe_settings(self) -> dict[str, Any]:
        """Leave out the options of backends: a backend alone knows which of them are secret."""
        shown: dict[str, Any] = super().get_safe_settings()
        ours = shown.get("PUSHJOBS")
        if isinstance(ours, Mapping) and isinstance(given := ours.get("BACKENDS"), Mapping):
            backends = {alias: self._without_options(entry) for alias, entry in given.items()}
            shown["PUSHJOBS"] = {**ours, "BACKENDS": backends}
        return shown

    def _without_options(self, entry: Any) -> Any:
        if isinstance(entry, Mapping) and "OPTIONS" in entry:
            return {**entry, "OPTIONS": self.cleansed_substitute}
        return entry

    def get_safe_request_meta(self, request: HttpRequest) -> dict[str, Any]:
        """Leave out keys even if a filter of the project names other settings to hide."""
        shown: dict[str, Any] = super().get_safe_request_meta(request)
        return {k: self.cleansed_substitute if k in _KEYS else v for k, v in shown.items()}

    def get_traceback_frame_variables(
        self, request: HttpRequest | None, tb_frame: FrameType
    ) -> ItemsView[str, Any]:
        """Leave out variables that are the headers of a call: Django shows all of them."""
        found = super().get_traceback_frame_variables(request, tb_frame)
        if not self.is_active(request):
            return found
        return {
            name: self.cleansed_substitute if isinstance(value, HttpHeaders) else value
            for name, value in found
        }.items()


class ExceptionReporterFilter(KeepsSecrets, SafeExceptionReporterFilter):
    """Django's filter, without the options of push backends and the keys of callers.

    For the setting ``DEFAULT_EXCEPTION_REPORTER_FILTER``. Reports about calls of the API use it
    anyway.
    """


def protect(request: HttpRequest) -> None:
    """Leave keys and secrets out of reports about ``request``, whatever filter it has."""
    current = get_exception_reporter_filter(request)
    if not isinstance(current, KeepsSecrets):
        kind: Any = type(current)
        request.exception_reporter_filter = _keeping(kind)()


@cache
def _keeping(kind: Any) -> Any:
    return type(kind.__name__, (KeepsSecrets, kind), {})
