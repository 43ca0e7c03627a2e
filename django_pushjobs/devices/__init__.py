"""The devices of your own users: where apps and web pages register the addresses to push to.

Registering, dropping and reviving are in :mod:`.registry`, and what a device may look like is in
:mod:`.validation`. Resolvers (:mod:`.resolvers`, and :mod:`.foreign` for the tables of other apps)
turn users and tags into addresses. A provider's verdict on an address comes back through
:mod:`django_pushjobs.delivery.dead_addresses`.
"""

from .registry import MAX_DEVICES, OPERATOR, drop, register, revive, unregister
from .validation import backend_for, canonical_forms

__all__ = [
    "MAX_DEVICES",
    "OPERATOR",
    "backend_for",
    "canonical_forms",
    "drop",
    "register",
    "revive",
    "unregister",
]
