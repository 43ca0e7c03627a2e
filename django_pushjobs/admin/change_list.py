"""The list of push requests, for a table with millions of rows.

On every view, Django's own list counts the whole table and searches it for the dates that occur.
Here, an index bounds whatever is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import formats, timezone
from django.utils.functional import cached_property
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from ..models import PushRequest
from ..models.identifiers import first_uuid

if TYPE_CHECKING:
    _Paginator = Paginator[PushRequest]
else:
    _Paginator = Paginator

#: Texts of any length; the list does not show them.
UNLISTED: Final = ("recipients", "title", "body", "data", "options", "error", "result")


class BoundedPaginator(_Paginator):
    """Counts and shows up to ``limit`` rows; ``is_cut`` says whether there are more."""

    limit: ClassVar[int] = 10_000

    @cached_property
    def _counted(self) -> int:
        rows: Any = self.object_list
        counted: int = rows.order_by().values("pk")[: self.limit + 1].count()
        return counted

    @cached_property
    def count(self) -> int:
        return min(self._counted, self.limit)

    @property
    def is_cut(self) -> bool:
        return self._counted > self.limit


class PushRequestChangeList(ChangeList):
    """Dates are ranges of the primary key, so that filter and order share one index."""

    DATE: Final = "created_at"

    def get_filters(self, request: HttpRequest) -> Any:
        try:
            specs, has_filters, lookups, duplicates, active = super().get_filters(request)
            lookups = _dates_as_keys(lookups, self.DATE)
        except (ValueError, OverflowError) as error:  # a year outside the calendar
            raise IncorrectLookupParameters from error
        return specs, has_filters, lookups, duplicates, active

    def get_queryset(
        self, request: HttpRequest, exclude_parameters: list[str | None] | None = None
    ) -> QuerySet[PushRequest]:
        queryset: QuerySet[PushRequest] = super().get_queryset(request, exclude_parameters)
        dates = [key for key in self.filter_params if key.startswith(f"{self.DATE}__")]
        others = [key for key in self.get_filters_params() if key not in dates]
        self.clear_all_filters_qs = self.get_query_string(remove=others)
        return queryset.defer(*UNLISTED)

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not self.multi_page:
            # More rows may have been added since they were counted.
            self.result_list = self.queryset[: self.list_per_page]
        if not self.query:
            # Otherwise the search box would show the number, which may be only the limit.
            self.full_result_count = self.result_count

    def dates(self) -> Mapping[str, Any]:
        """Return the context of ``admin/date_hierarchy.html``.

        The years, months and days follow from the first and the last request; days in between are
        offered even if there was no request on them.
        """
        year, month, day = (self._chosen(part) for part in ("year", "month", "day"))
        field_name = _("created")
        if year and month and day:
            shown = date(year, month, day)
            return {
                "show": True,
                "field_name": field_name,
                "back": self._link(formats.date_format(shown, "YEAR_MONTH_FORMAT"), year, month),
                "choices": [{"title": capfirst(formats.date_format(shown, "MONTH_DAY_FORMAT"))}],
            }
        span = self._span()
        if span is None:
            return {"show": False}
        first, last = span
        back: Mapping[str, str] | None = None
        if year and month:
            back = self._link(str(year), year)
        elif year:
            back = self._link(_("All dates"))
        elif first.year == last.year:
            year = first.year
            month = first.month if first.month == last.month else None
        choices = self._choices(first, last, year, month)
        return {"show": True, "field_name": field_name, "back": back, "choices": choices}

    def _choices(
        self, first: date, last: date, year: int | None, month: int | None
    ) -> list[Mapping[str, str]]:
        if year is None:
            return [self._link(str(y), y) for y in range(first.year, last.year + 1)]
        if month is None:
            months = (date(year, m, 1) for m in range(1, 13))
            return [
                self._link(formats.date_format(m, "YEAR_MONTH_FORMAT"), year, m.month)
                for m in months
                if first.replace(day=1) <= m <= last
            ]
        days = (date(year, month, 1) + timedelta(days=n) for n in range(31))
        return [
            self._link(formats.date_format(d, "MONTH_DAY_FORMAT"), year, month, d.day)
            for d in days
            if d.month == month and first <= d <= last
        ]

    def _span(self) -> tuple[date, date] | None:
        """Return the days of the first and the last request, from the two ends of the index."""
        created = self.root_queryset.order_by("pk").values_list("created_at", flat=True)
        first, last = created.first(), created.last()
        if first is None or last is None:
            return None
        return timezone.localdate(first), timezone.localdate(last)

    def _chosen(self, part: str) -> int | None:
        value = self.params.get(f"{self.DATE}__{part}")
        return int(value) if value else None

    def _link(self, title: str, *chosen: int) -> Mapping[str, str]:
        names = (f"{self.DATE}__{part}" for part in ("year", "month", "day"))
        params = dict(zip(names, chosen, strict=False))
        return {
            "title": capfirst(title),
            "link": self.get_query_string(params, [f"{self.DATE}__"]),
        }


def _dates_as_keys(lookups: Mapping[str, Any], field: str) -> dict[str, Any]:
    """Return ``lookups`` with the bounds of ``field`` expressed as bounds of the primary key."""
    bounds = {f"{field}__gte": "pk__gte", f"{field}__lt": "pk__lt"}
    translated = dict(lookups)
    for name, bound in bounds.items():
        values = translated.get(name)
        if isinstance(values, list) and all(isinstance(value, datetime) for value in values):
            translated[bound] = [first_uuid(value) for value in translated.pop(name)]
    return translated
