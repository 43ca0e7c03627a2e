"""Who may call, and for what."""

from __future__ import annotations

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from ..models import ApiKey, Scope
from .exceptions import InsufficientScope


class IsClient(BasePermission):
    """A client with a valid key. Every query is limited to its own rows."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.auth, ApiKey)


class HasScope(BasePermission):
    """A key with the scope that the call needs, see :func:`scope_for`."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        scope = scope_for(view, request.method or "GET")
        if isinstance(request.auth, ApiKey) and scope not in request.auth.scopes:
            raise InsufficientScope(scope)
        return True


def scope_for(view: object, method: str) -> Scope:
    """Return the scope that a key needs to call ``view`` with ``method``.

    That is ``scope`` of the view or of its action, or else :attr:`Scope.READ` if the method is
    safe, and :attr:`Scope.SUBMIT` if it is not.
    """
    scope: Scope | None = getattr(view, "scope", None)
    return scope or (Scope.READ if method.upper() in SAFE_METHODS else Scope.SUBMIT)
