"""What an OpenAPI document lets its reader call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def operations(document: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield method, path and description of every operation in an OpenAPI document."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def examples(operation: Any) -> Iterator[Any]:
    """Yield the bodies that the document gives as examples."""
    for media in operation.get("requestBody", {}).get("content", {}).values():
        for entry in media.get("examples", {}).values():
            # Examples of URLs are of hosts that are not there.
            yield {
                name: "http://127.0.0.1:9/" if name == "url" else value
                for name, value in entry["value"].items()
            }
