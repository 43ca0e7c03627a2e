"""The deliveries of one push request, a page at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from django.db.models import Case, When
from django.utils.safestring import SafeString

from ..models import Delivery, PushRequest
from ..states import DeliveryStatus
from .badges import delivery_badge
from .formatting import duration

PER_PAGE: Final = 100
#: The query parameter with the number of the page.
PAGE_PARAMETER: Final = "deliveries"


@dataclass(frozen=True, slots=True)
class Line:
    """One delivery in the table.

    :param address: as the operator may see it.
    """

    delivery: Delivery
    address: str

    @property
    def badge(self) -> SafeString:
        return delivery_badge(self.delivery)

    @property
    def took(self) -> str:
        return duration(self.delivery.finished_at - self.delivery.started_at)


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """One page of the deliveries of a request, and whether there are others.

    Nothing is counted: there is a next page if one more row than fits was found.
    """

    lines: list[Line]
    number: int
    has_next: bool
    parameter: str = PAGE_PARAMETER

    @property
    def first(self) -> int:
        return (self.number - 1) * PER_PAGE + 1

    @property
    def last(self) -> int:
        return self.first + len(self.lines) - 1

    @property
    def previous_number(self) -> int:
        return self.number - 1

    @property
    def next_number(self) -> int:
        return self.number + 1


def delivery_page(request: PushRequest, number: str, shown: Callable[[str], str]) -> DeliveryPage:
    """Return page ``number`` of the deliveries of ``request``, by default the first.

    :param shown: returns an address as the operator may see it.
    """
    page = int(number) if number.isdecimal() and len(number) < 6 else 1
    page = max(page, 1)
    start = (page - 1) * PER_PAGE
    # Those that need attention come first.
    rank = Case(When(status=DeliveryStatus.ACCEPTED, then=1), default=0)
    ordered = request.deliveries.order_by(rank, "pk")
    rows = list(ordered[start : start + PER_PAGE + 1])
    lines = [Line(row, shown(row.address)) for row in rows[:PER_PAGE]]
    return DeliveryPage(lines, page, len(rows) > PER_PAGE)
