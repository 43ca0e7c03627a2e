"""The app's place in INSTALLED_APPS."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class PushJobsConfig(AppConfig):
    name = "django_pushjobs"
    label = "django_pushjobs"
    verbose_name = _("Push jobs")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks  # noqa: F401  (registers itself)
        from .broker import keys
        from .models.sites import make_site, site_identifier

        post_migrate.connect(make_site, sender=self, dispatch_uid="django_pushjobs.apps")
        keys.name_site_by(site_identifier)
