"""Which push requests of a client a list contains."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

import django_filters
from django import forms
from django.db.models import QuerySet
from django.utils import timezone
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.request import Request

from ..models import PushRequest
from ..states import Status
from . import parameters
from .times import parse_time


class AwareTimeField(forms.CharField):
    """A time that names its offset, so that nobody has to guess it."""

    default_error_messages: ClassVar[dict[str, Any]] = {
        "invalid": "must be a time with an offset, such as 2030-01-31T12:00:00Z (RFC 3339)"
    }

    def clean(self, value: Any) -> datetime | None:
        if value is None:
            return None
        try:
            time = parse_time(super().clean(value))
        except ValueError:
            time = None
        if time is None or timezone.is_naive(time):
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        return time


class TimeFilter(django_filters.Filter):  # type: ignore[misc]
    field_class = AwareTimeField


class PushRequestFilter(django_filters.FilterSet):  # type: ignore[misc]
    """``created_after`` is inclusive and ``created_before`` is not, so that consecutive windows
    neither overlap nor leave a gap."""

    status = django_filters.MultipleChoiceFilter(
        choices=Status.choices,
        distinct=False,
        help_text="In this state; may be repeated.",
    )
    reference = django_filters.CharFilter(help_text="Your own name for it, exactly.")
    backend = django_filters.CharFilter(help_text="Pushed by this backend.")
    created_after = TimeFilter(
        field_name="created_at", lookup_expr="gte", help_text="Created at this time or later."
    )
    created_before = TimeFilter(
        field_name="created_at", lookup_expr="lt", help_text="Created before this time."
    )

    class Meta:
        model = PushRequest
        fields = ("status", "reference", "backend", "created_after", "created_before")


class StrictFilterBackend(DjangoFilterBackend):  # type: ignore[misc]
    """Refuses unknown query parameters: a typo must not list everything."""

    def filter_queryset(
        self, request: Request, queryset: QuerySet[PushRequest], view: Any
    ) -> QuerySet[PushRequest]:
        paginator = view.paginator
        known = {
            *view.filterset_class.base_filters,
            paginator.cursor_query_param,
            paginator.page_size_query_param,
        }
        parameters.refuse_unknown(request, known)
        filtered: QuerySet[PushRequest] = super().filter_queryset(request, queryset, view)
        return filtered
