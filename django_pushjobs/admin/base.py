"""What the pages of all models share: permissions, buttons, pages of our own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.functional import Promise
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from .lookups import lookups

M = TypeVar("M", bound=Model)

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin as _ModelAdmin
    from django.utils.functional import _StrOrPromise
else:

    class _ModelAdmin(admin.ModelAdmin, Generic[M]):
        """Django's class, which takes a type parameter in its stubs only."""


class PushJobsAdmin(_ModelAdmin[M]):
    """Our style sheet, and pages with more on them than a form."""

    class Media:
        css: ClassVar = {"all": ("django_pushjobs/admin.css",)}

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Allow the declared filters, and nothing else: see :mod:`.lookups`."""
        declared = self.list_filter if request is None else self.get_list_filter(request)
        return lookup in lookups(self.model, declared, self.date_hierarchy)

    def may_see_addresses(self, request: HttpRequest) -> bool:
        """Whoever knows an address can push to it, and it may identify a person."""
        return request.user.has_perm(f"{self.opts.app_label}.view_address")

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: M | None = None,
    ) -> HttpResponse:
        if obj is not None:
            context |= self.page_context(request, obj)
        return super().render_change_form(request, context, add, change, form_url, obj)

    def page_context(self, request: HttpRequest, row: M) -> dict[str, Any]:
        """Return what the template of the page of ``row`` shows besides the form."""
        return {}

    def page_url(self, key: object, model_name: str | None = None) -> str:
        """Return the URL of the page of one row, of this model unless another one is named."""
        name = f"{self.opts.app_label}_{model_name or self.opts.model_name}_change"
        return reverse(f"{self.admin_site.name}:{name}", args=[str(key)])

    def url_pattern(self, route: str, view: Any, name: str) -> URLPattern:
        """Return the pattern of a view of our own, for those who may use the admin."""
        full_name = f"{self.opts.app_label}_{self.opts.model_name}_{name}"
        pattern: URLPattern = path(route, self.admin_site.admin_view(view), name=full_name)
        return pattern

    def render_page(
        self,
        request: HttpRequest,
        template: str,
        title: str,
        *,
        row: M | None = None,
        form: Form | None = None,
        **context: Any,
    ) -> TemplateResponse:
        """Return a page of our own, framed as the admin's pages are.

        :param template: below ``admin/django_pushjobs/``.
        :param row: the row it is about; None while one is being added.
        """
        frame = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "media": self.media if form is None else self.media + form.media,
            "has_view_permission": True,
            "title": title,
            "add": row is None,
            "original": row,
            "subtitle": None if row is None else str(row),
            "form": form,
        }
        return TemplateResponse(request, f"admin/django_pushjobs/{template}", frame | context)


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A button on the page of a row, which posts to ``<key>/<name>/``.

    :param name: in URLs and names of actions.
    """

    name: str
    label: _StrOrPromise


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Button):
    """Something that an operator does with one row or with several.

    :param log_entry: what the history of each row says.
    :param done: a sentence with ``%(count)d``.
    """

    log_entry: _StrOrPromise
    done: Promise


class OperatedAdmin(PushJobsAdmin[M]):
    """Rows that people look at and operate on, but do not edit.

    Django's permission to change a row is the permission to operate on it here: to press the
    buttons on its page, and to run the actions of the list that ask for ``operate``.

    :cvar may_be_added: whether those with Django's permission may add rows.
    :cvar may_be_deleted: whether those with Django's permission may delete rows.
    :cvar buttons: all buttons that a page can have.
    """

    may_be_added: ClassVar[bool] = False
    may_be_deleted: ClassVar[bool] = False
    buttons: ClassVar[tuple[Button, ...]] = ()
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.may_be_added and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return self.may_be_deleted and super().has_delete_permission(request, obj)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return super().has_change_permission(request)

    def buttons_for(self, row: M) -> Collection[Button]:
        """Return the buttons that make sense for ``row``."""
        return ()

    def page_context(self, request: HttpRequest, row: M) -> dict[str, Any]:
        if not self.has_operate_permission(request):
            return {}
        return {"buttons": self.buttons_for(row)}

    def get_urls(self) -> list[URLPattern]:
        own = [
            self.url_pattern(
                f"<path:key>/{button.name}/",
                require_POST(partial(self.button_view, name=button.name)),
                button.name,
            )
            for button in self.buttons
        ]
        return [*own, *super().get_urls()]

    @method_decorator(never_cache)
    def button_view(self, request: HttpRequest, key: str, name: str) -> HttpResponse:
        """Do what a button stands for, and show the page of the row again."""
        if not self.has_operate_permission(request):
            raise PermissionDenied
        return self.press(request, key, name) or HttpResponseRedirect(self.page_url(key))

    def press(self, request: HttpRequest, key: str, name: str) -> HttpResponse | None:
        """Do what the button ``name`` stands for.

        :returns: a page to show instead of that of the row, or None.
        """
        raise NotImplementedError("an admin with buttons implements press()")

    def perform_each(
        self,
        request: HttpRequest,
        rows: Iterable[M],
        perform: Callable[[M], object],
        log_entry: _StrOrPromise,
    ) -> int:
        """Call ``perform`` for each row, and return for how many that was true: so many changed.

        The history of each of these says who asked.
        """
        changed = [row for row in list(rows) if perform(row)]
        for row in changed:
            self.log_change(request, row, str(log_entry))
        return len(changed)

    def row_or_404(self, request: HttpRequest, key: object) -> M:
        row = self.get_object(request, str(key))
        if row is None:
            raise Http404
        return row
