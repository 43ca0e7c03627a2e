"""The filters of the list of push requests. None of them reads that table for its choices."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..conf import conf
from ..models import ApiClient, PushRequest
from ..models.identifiers import first_uuid

if TYPE_CHECKING:
    from django.contrib.admin.options import ModelAdmin
    from django.utils.functional import _StrOrPromise


class BackendFilter(admin.SimpleListFilter):
    """The aliases in the settings. One that has been removed can still be given in the URL."""

    title = _("backend")
    parameter_name = "backend"

    def lookups(
        self, request: HttpRequest, model_admin: ModelAdmin[Any]
    ) -> list[tuple[str, _StrOrPromise]]:
        aliases = set(conf().BACKENDS)
        if chosen := self.value():
            aliases.add(chosen)
        return [(alias, alias) for alias in sorted(aliases)]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[PushRequest]
    ) -> QuerySet[PushRequest]:
        return queryset.filter(backend=alias) if (alias := self.value()) else queryset


class ClientFilter(admin.SimpleListFilter):
    """The clients, if there are few. If there are many, only the chosen one is listed."""

    title = _("client")
    parameter_name = "client"

    FEW: Final = 30
    #: The value for requests without a client, submitted by the project itself.
    NOBODY: Final = "none"

    def lookups(
        self, request: HttpRequest, model_admin: ModelAdmin[Any]
    ) -> list[tuple[str, _StrOrPromise]]:
        names = ApiClient.objects.values_list("pk", "name")
        clients = list(names[: self.FEW + 1])
        if len(clients) > self.FEW:
            clients = list(names.filter(pk=self._chosen)) if self._chosen else []
        return [*((str(pk), name) for pk, name in clients), (self.NOBODY, _("our own code"))]

    @property
    def _chosen(self) -> int | None:
        value = self.value() or ""
        # Longer numbers are not keys; a database would reject them.
        return int(value) if value.isdecimal() and len(value) < 19 else None

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[PushRequest]
    ) -> QuerySet[PushRequest]:
        if self.value() is None:
            return queryset
        if self.value() == self.NOBODY:
            return queryset.filter(client=None)
        return queryset.filter(client=self._chosen) if self._chosen else queryset.none()


class CreatedFilter(admin.SimpleListFilter):
    """The most recent requests, as a range of primary keys, which are ordered by time."""

    title = _("created")
    parameter_name = "within"

    SPANS: Final = {
        "hour": (_("Past hour"), timedelta(hours=1)),
        "day": (_("Past 24 hours"), timedelta(days=1)),
        "week": (_("Past 7 days"), timedelta(days=7)),
        "month": (_("Past 30 days"), timedelta(days=30)),
    }

    def lookups(
        self, request: HttpRequest, model_admin: ModelAdmin[Any]
    ) -> Iterator[tuple[str, _StrOrPromise]]:
        return ((name, title) for name, (title, _span) in self.SPANS.items())

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[PushRequest]
    ) -> QuerySet[PushRequest]:
        if (name := self.value()) not in self.SPANS:
            return queryset
        _title, span = self.SPANS[name]
        return queryset.filter(pk__gte=first_uuid(timezone.now() - span))
