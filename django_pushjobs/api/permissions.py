"""Who may call."""

from __future__ import annotations

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from ..models import ApiKey


class IsClient(BasePermission):
    """A client with a valid key. What it may see, the queries decide: all are its own."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.auth, ApiKey)
