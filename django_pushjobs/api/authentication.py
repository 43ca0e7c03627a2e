"""Who calls: a client, shown by one of its keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from ..models import ApiClient, ApiKey


@dataclass(frozen=True, slots=True)
class Principal:
    """``request.user`` of a call with a key: a client is no user of the site and may do nothing
    else on it."""

    client: ApiClient

    pk: ClassVar[None] = None
    id: ClassVar[None] = None
    username: ClassVar[str] = ""
    is_authenticated: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False
    is_active: ClassVar[bool] = True
    is_staff: ClassVar[bool] = False
    is_superuser: ClassVar[bool] = False

    def __str__(self) -> str:
        return str(self.client)

    def get_username(self) -> str:
        return self.username

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        return False

    def has_perms(self, perm_list: Any, obj: Any = None) -> bool:
        return False

    def has_module_perms(self, module: str) -> bool:
        return False


class ApiKeyAuthentication(BaseAuthentication):
    """``Authorization: Bearer <key>`` (RFC 6750), or ``X-API-Key: <key>``. One query."""

    def authenticate(self, request: Request) -> tuple[Principal, ApiKey] | None:
        secret = _secret(request)
        if not secret:
            return None
        key = ApiKey.objects.authenticate(secret)
        if key is None:
            raise AuthenticationFailed("The API key is wrong, revoked or expired.")
        return Principal(key.client), key

    def authenticate_header(self, request: Request) -> str:
        challenge = 'Bearer realm="push requests"'
        # RFC 6750, section 3.1: no error code where nothing was shown.
        return f'{challenge}, error="invalid_token"' if _secret(request) else challenge


def _secret(request: Request) -> str:
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credentials.strip():
        return credentials.strip()
    # Another scheme may belong to a proxy in front of us.
    return request.headers.get("X-API-Key", "").strip()
