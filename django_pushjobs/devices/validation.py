"""What a device may look like, and which backend reaches it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from ..backends import backends
from ..conf import conf
from ..exceptions import FieldError
from ..models import Platform
from .proofs import MAX_PROOF

#: Characters; a Web Push subscription as JSON fits.
MAX_ADDRESS: Final = 4_096
MAX_LOCALE: Final = 35
MAX_TAGS: Final = 50

_TAG: Final = re.compile(r"[\w.:/-]{1,64}")
_LOCALE: Final = re.compile(r"[A-Za-z0-9]{1,8}(?:[-_][A-Za-z0-9]{1,8})*")
_APP: Final = re.compile(r"[\w.-]{1,100}")


def backend_for(platform: str, app: str) -> str | None:
    """Return the alias of the backend that reaches the devices of a platform, or None.

    A key ``platform:app`` of ``DEVICE_BACKENDS`` takes precedence over ``platform``.
    """
    aliases = conf().DEVICE_BACKENDS
    return aliases.get(f"{platform}:{app}") or aliases.get(platform)


def canonical_forms(address: str) -> set[str]:
    """Return the forms in which ``address`` could be registered, with any backend."""
    aliases = set(conf().DEVICE_BACKENDS.values())
    return {address, *(backends[alias].canonical(address) for alias in aliases)}


def device_errors(
    platform: Any, address: Any, app: Any, locale: Any, tags: Any
) -> Iterator[FieldError]:
    """Yield what is wrong with the fields of a device, whatever their types."""
    app_is_fine = app == "" or (isinstance(app, str) and _APP.fullmatch(app) is not None)
    if not app_is_fine:
        yield FieldError("/app", "must be a name such as com.example.shop", "invalid")
    alias = None
    if platform not in Platform.values:
        known = ", ".join(Platform.values)
        yield FieldError("/platform", f"must be one of {known}", "invalid_choice")
    elif app_is_fine and (alias := backend_for(platform, app)) is None:
        yield FieldError("/platform", "has no backend on this server", "no_backend")
    yield from _address_errors(address, alias)
    if locale != "" and not (isinstance(locale, str) and _LOCALE.fullmatch(locale)):
        yield FieldError("/locale", "must be a language tag such as de-AT", "invalid")
    elif len(locale) > MAX_LOCALE:
        yield FieldError("/locale", f"must have at most {MAX_LOCALE} characters", "too_long")
    if isinstance(tags, str) or not isinstance(tags, Sequence):
        yield FieldError("/tags", "must be a list", "invalid_type")
    elif len(tags) > MAX_TAGS:
        yield FieldError("/tags", f"must have at most {MAX_TAGS} items", "too_many")
    else:
        for index, tag in enumerate(tags):
            if problem := tag_problem(tag):
                yield FieldError(f"/tags/{index}", problem, "invalid")


def proof_errors(proof: Any) -> Iterator[FieldError]:
    """Yield what is wrong with a proof, whatever its type; "" is none."""
    if not isinstance(proof, str) or len(proof) > MAX_PROOF:
        detail = f"must be a string with at most {MAX_PROOF} characters"
        yield FieldError("/proof", detail, "invalid_type")


def _address_errors(address: Any, alias: str | None) -> Iterator[FieldError]:
    if not isinstance(address, str) or not address.strip():
        yield FieldError("/address", "must be a string that is not blank", "invalid_type")
    elif len(address) > MAX_ADDRESS:
        yield FieldError("/address", f"must have at most {MAX_ADDRESS} characters", "too_long")
    elif not address.isprintable():
        yield FieldError("/address", "must not contain control characters", "control_characters")
    elif alias is not None and (problem := backends[alias].problem_with(address)):
        yield FieldError("/address", problem, "invalid_address")


def tag_problem(tag: Any) -> str | None:
    """Return a sentence that says what is wrong with the name of a tag, or None."""
    if isinstance(tag, str) and _TAG.fullmatch(tag):
        return None
    return "a tag consists of 1 to 64 letters, digits and the characters _ . : / -"
