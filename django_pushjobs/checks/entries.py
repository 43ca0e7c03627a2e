"""What checks of ``BACKENDS`` and ``RESOLVERS`` have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Any, Final

from django.core.checks import CheckMessage, Error
from django.utils.module_loading import import_string

from ..exceptions import ConfigurationError

#: Characters; PushRequest.backend stores an alias.
_MAX_ALIAS: Final = 64


def malformed(
    setting: str, entries: Mapping[Any, Any], class_key: str, keys: Set[str], *, check_id: str
) -> Iterator[tuple[Any, CheckMessage]]:
    """Yield the names of the entries that do not have the form of one.

    :param class_key: the key whose value is the dotted path of a class.
    :param keys: all keys that an entry may have.
    :param check_id: of the messages.
    """
    for name, entry in entries.items():
        if not isinstance(name, str) or not 0 < len(name) <= _MAX_ALIAS:
            problem = f"must have a name of 1 to {_MAX_ALIAS} characters"
        elif not isinstance(entry, dict):
            problem = "must be a dict"
        elif not isinstance(entry.get(class_key), str):
            problem = f"must have the dotted path of a class as {class_key!r}"
        elif unknown := entry.keys() - keys:
            problem = f"has unknown keys: {', '.join(sorted(map(repr, unknown)))}"
        elif not isinstance(entry.get("OPTIONS", {}), dict):
            problem = "must have a dict as 'OPTIONS'"
        else:
            continue
        yield (
            name,
            Error(
                f"PUSHJOBS[{setting!r}][{name!r}] {problem}.",
                hint=f'Write {{"{class_key}": "dotted.path.Class", "OPTIONS": {{…}}}}.',
                id=check_id,
            ),
        )


def not_a_class(path: str, base: type) -> str | None:
    """Return in a sentence why ``path`` is not that of a subclass of ``base``, or None."""
    try:
        found = import_string(path)
    except Exception as error:  # importing a module can raise anything
        return f"{path!r} cannot be imported: {error}"
    if not (isinstance(found, type) and issubclass(found, base)):
        return f"{path!r} is not a {base.__name__}"
    return None


def sentence(subject: str, error: Exception) -> str:
    """Return ``error`` as a sentence about ``subject``."""
    # A ConfigurationError names its subject itself.
    text = str(error) if isinstance(error, ConfigurationError) else f"{subject}: {error!r}"
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def listed(names: Mapping[Any, Any]) -> str:
    return ", ".join(map(repr, names)) or "none"
