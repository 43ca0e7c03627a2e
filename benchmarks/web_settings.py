"""The example project, with a bare view beside the API."""

from example_project.settings import *  # noqa: F403
from example_project.settings import DATABASES, PUSHJOBS

ROOT_URLCONF = "benchmarks.web_urls"
DEBUG = False
if "postgresql" in DATABASES["default"]["ENGINE"]:
    DATABASES["default"].setdefault("OPTIONS", {})["pool"] = {"min_size": 2, "max_size": 20}
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = False
PUSHJOBS = PUSHJOBS | {"MAX_WAIT": 600, "MAX_CLIENT_LISTENERS": 4_000}
