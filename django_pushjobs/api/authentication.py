"""Who calls: a client, identified by one of its keys."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from ..conf import conf
from ..models import ApiClient, ApiKey

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Principal:
    """``request.user`` of a call with a key: a client is not a user of the site, and may do nothing
    else there."""

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
    """``Authorization: Bearer <key>`` (RFC 6750), or ``X-API-Key: <key>``.

    Costs one query, and once a minute a write of the time when the key was used.
    """

    @sensitive_variables()
    def authenticate(self, request: Request) -> tuple[Principal, ApiKey] | None:
        secret = secret_of(request)
        if not secret:
            return None
        key = ApiKey.objects.authenticate(secret, among=self.keys(request))
        if key is None:
            raise AuthenticationFailed("The API key is wrong, revoked or expired.")
        address = remote_address(request._request)
        if not key.permits(address):
            logger.warning("key %s refused: it may not be used from %s", key, address)
            raise AuthenticationFailed("The API key may not be used from this network.")
        key.note_use()
        return Principal(key.client), key

    def keys(self, request: Request) -> QuerySet[ApiKey]:
        """Return the keys to look in; subclasses may read more in the same query."""
        return ApiKey.objects.all()

    @sensitive_variables()
    def authenticate_header(self, request: Request) -> str:
        challenge = 'Bearer realm="push requests"'
        # RFC 6750, section 3.1: no error code if no key was sent.
        return f'{challenge}, error="invalid_token"' if secret_of(request) else challenge


def remote_address(request: HttpRequest) -> str | None:
    """Return the IP address that a call comes from, or None if it is unknown.

    ``TRUSTED_PROXIES`` says how many proxies are in front of us. Each appends the address of its
    caller to ``X-Forwarded-For``, so that many entries from the right can be trusted; whatever is
    left of them may be made up. Without proxies the header is ignored.
    """
    proxies = conf().TRUSTED_PROXIES
    if not proxies:
        return request.META.get("REMOTE_ADDR") or None
    hops = request.headers.get("X-Forwarded-For", "").split(",")
    return hops[-proxies].strip() or None if len(hops) >= proxies else None


def secret_of(request: HttpRequest | Request) -> str:
    """Return the API key that was sent; empty if there is none."""
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credentials.strip():
        return credentials.strip()
    # Another scheme may belong to a proxy in front of us.
    return request.headers.get("X-API-Key", "").strip()
