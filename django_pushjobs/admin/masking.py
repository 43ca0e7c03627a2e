"""Addresses for operators who may not see them: enough to tell two of them apart."""

from __future__ import annotations

from typing import Any, Final

from ..backends.spellings import canonical_of
from ..recipients import Recipient, split

#: Characters that are shown, of addresses with at least three times as many.
SHOWN: Final = 4
#: Kinds of recipients that are no secret: they mean nothing outside this site.
_OPEN: Final = ("user", "tag")


def masked(address: Any, backend: str) -> str:
    """Return the end of ``address``; of one that is a subscription, the end of its endpoint.

    :param backend: the alias that reaches it.
    """
    if not isinstance(address, str):
        return "…"
    canonical = canonical_of(backend)
    form = address if canonical is None else canonical(address)
    # What is still an object is nothing that a backend knows; its end may be that of a key.
    if len(form) < 3 * SHOWN or form.lstrip().startswith("{"):
        return "…"
    return f"…{form[-SHOWN:]}"


def masked_recipient(recipient: Recipient, backend: str) -> Recipient:
    """Return one recipient of a request, with its address masked.

    Resolvers of the project may take anything that identifies a person, so what they get is masked
    as well.
    """
    kind, value = split(recipient)
    if kind in _OPEN:
        return recipient
    hidden = masked(value, backend)
    return hidden if isinstance(recipient, str) else {kind: hidden}
