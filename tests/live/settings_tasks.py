"""The settings of live tests, with django-tasks-rq."""

from tests.live.settings import *  # noqa: F403
from tests.live.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "django_tasks", "django_tasks_rq"]
TASKS = {"default": {"BACKEND": "django_tasks_rq.RQBackend", "QUEUES": ["default"]}}
