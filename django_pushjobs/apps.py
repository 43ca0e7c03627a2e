"""The app's place in INSTALLED_APPS."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PushJobsConfig(AppConfig):
    name = "django_pushjobs"
    label = "django_pushjobs"
    verbose_name = _("Push jobs")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks  # noqa: F401  (registers itself)
