"""The OpenAPI document: made from the routes, once per process."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from threading import Lock
from typing import Any, Final

from django.utils.translation import override
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.settings import SPECTACULAR_DEFAULTS, patched_settings

from ... import __version__
from .. import routes
from . import callbacks, push_requests
from .webhooks import WEBHOOKS

DESCRIPTION: Final = """
Submit a push message, get an answer at once, and see later what became of it.

1. `POST push-requests` answers **202 Accepted** with a `Location`: the request is stored and will
   not be lost.
2. `GET` that location, after as many seconds as `Retry-After` says, until `done` is true.
3. Read the receipt of each address under `deliveries`.

Calls need a key: `Authorization: Bearer <key>` or `X-API-Key: <key>`. Each client sees only its own
push requests. Bodies are JSON in UTF-8; members that are not listed here are refused. Every error
is a problem as defined by [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457).
"""


@cache
def document() -> dict[str, Any]:
    """Return the OpenAPI document, without ``servers``."""
    # With our own settings, whatever the project's are; the patch is global, hence the lock.
    with _lock, override("en"), patched_settings(_SETTINGS):
        generator = SchemaGenerator(patterns=routes.urlpatterns)  # type: ignore[no-untyped-call]
        made: dict[str, Any] = generator.get_schema(public=True)  # type: ignore[no-untyped-call]
    made["webhooks"] = WEBHOOKS
    # The same, at the URL that a push request may name.
    made["paths"]["/push-requests"]["post"]["callbacks"] = {
        name: {"{$request.body#/callback_url}": item}
        for name, item in WEBHOOKS.items()
        if name.startswith("push.request.")
    }
    for operation in _operations(made):
        _close(operation.get("requestBody"), made["components"]["schemas"])
    return made


def document_at(server: str) -> dict[str, Any]:
    """Return the OpenAPI document of the API that is mounted at the URL ``server``."""
    return document() | {"servers": [{"url": server}]}


def _order(endpoint: tuple[str, str, str, Any]) -> tuple[int, int]:
    """Return what orders operations as the routes have the views, and the views their methods."""
    _path, _regex, method, view = endpoint
    views = [viewset for _prefix, viewset, _basename in routes.router.registry]
    return views.index(view.cls), list(vars(view.cls)).index(view.actions[method.lower()])


_DEFAULTS = {
    name: value
    for name, value in SPECTACULAR_DEFAULTS.items()
    if not name.startswith("SERVE_") and name != "DEFAULT_GENERATOR_CLASS"  # cannot be patched
}
_SETTINGS = _DEFAULTS | {
    "OAS_VERSION": "3.1.1",
    "TITLE": "Push requests",
    "DESCRIPTION": DESCRIPTION.strip(),
    "VERSION": __version__,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "SORT_OPERATIONS": _order,
    "SORT_OPERATION_PARAMETERS": False,
    "TAGS": [{"name": push_requests.TAG}, {"name": callbacks.TAG}],
}

_lock = Lock()


def _operations(made: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in made["paths"].values():
        yield from methods.values()


def _close(node: Any, schemas: dict[str, Any]) -> None:
    """Say of every object in a body that it has no members but those that are listed."""
    if isinstance(node, list):
        for item in node:
            _close(item, schemas)
    elif isinstance(node, dict):
        if "$ref" in node:
            _close(schemas[node["$ref"].rpartition("/")[2]], schemas)
        if node.get("type") == "object" and "properties" in node:
            node.setdefault("additionalProperties", False)
        for key, value in node.items():
            if key != "examples":
                _close(value, schemas)
