"""Who may call, and what for."""

from __future__ import annotations

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from ..models import ApiKey, Scope
from .problems import InsufficientScope


class IsClient(BasePermission):
    """A client with a valid key. What it may see, the queries decide: all are its own."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.auth, ApiKey)


class HasScope(BasePermission):
    """A key that is good for this: for ``scope`` of the view or of its action, or else to read
    where nothing is changed, and to submit where something is."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        scope = scope_for(view, request.method or "GET")
        if isinstance(request.auth, ApiKey) and scope not in request.auth.scopes:
            raise InsufficientScope(scope)
        return True


def scope_for(view: object, method: str) -> Scope:
    """Return what a key must be good for to call ``view`` with ``method``."""
    scope: Scope | None = getattr(view, "scope", None)
    return scope or (Scope.READ if method.upper() in SAFE_METHODS else Scope.SUBMIT)
