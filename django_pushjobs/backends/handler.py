"""The backends of ``PUSHJOBS["BACKENDS"]`` by their aliases."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

from django.core.signals import setting_changed
from django.utils.module_loading import import_string
from django.views.decorators.debug import sensitive_variables

from ..conf import conf
from ..exceptions import ConfigurationError
from .base import BasePushBackend
from .policies import ENTRY_KEYS


class BackendHandler:
    """The backends of this process, made on first use and never shared across a fork."""

    def __init__(self) -> None:
        self._forget()
        # The parent's sockets belong to the parent: forget them without closing them.
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._instances: dict[str, BasePushBackend] = {}

    def __getitem__(self, alias: str) -> BasePushBackend:
        """Return the backend ``alias``.

        :raises ConfigurationError: the alias, its class or its options are wrong.
        """
        try:
            return self._instances[alias]
        except KeyError:
            with self._lock:
                if alias not in self._instances:
                    self._instances[alias] = self.create(alias)
                return self._instances[alias]

    def __iter__(self) -> Iterator[str]:
        return iter(conf().BACKENDS)

    def __contains__(self, alias: object) -> bool:
        return alias in conf().BACKENDS

    @sensitive_variables()
    def create(self, alias: str) -> BasePushBackend:
        """Make a new instance of the backend ``alias`` from the settings.

        :raises ConfigurationError: the alias, its class or its options are wrong.
        """
        try:
            entry = conf().BACKENDS[alias]
        except KeyError:
            known = ", ".join(repr(name) for name in conf().BACKENDS)
            raise ConfigurationError(
                f"there is no push backend {alias!r} (known: {known})"
            ) from None
        if not isinstance(entry, dict) or "BACKEND" not in entry:
            raise ConfigurationError(
                f"push backend {alias!r} must be a dict with the key 'BACKEND'"
            )
        if unknown := entry.keys() - ENTRY_KEYS:
            raise ConfigurationError(f"push backend {alias!r} has unknown keys: {sorted(unknown)}")
        try:
            backend_class = import_string(entry["BACKEND"])
        except (ImportError, TypeError, AttributeError) as error:
            raise ConfigurationError(
                f"push backend {alias!r} cannot be imported: {error}"
            ) from error
        try:
            backend = backend_class(alias=alias, **entry.get("OPTIONS", {}))
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"push backend {alias!r}: {error}") from error
        if not isinstance(backend, BasePushBackend):
            raise ConfigurationError(f"push backend {alias!r} is not a BasePushBackend")
        return backend

    def close_all(self) -> None:
        """Close every backend that was used. A process does so when it ends."""
        instances, self._instances = self._instances, {}
        for backend in instances.values():
            backend.close()


backends = BackendHandler()


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting == "PUSHJOBS":
        backends.close_all()


setting_changed.connect(_forget, dispatch_uid="django_pushjobs.backends")
