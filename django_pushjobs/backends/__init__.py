"""Push backends behind aliases: ``backends["default"].push(message, target)``."""

from .answers import Row
from .base import BasePushBackend, Message, Target
from .handler import backends
from .outcomes import Outcome, OutcomeClass, Scope, accepted
from .policies import Policy, policy

__all__ = [
    "BasePushBackend",
    "Message",
    "Outcome",
    "OutcomeClass",
    "Policy",
    "Row",
    "Scope",
    "Target",
    "accepted",
    "backends",
    "policy",
]
