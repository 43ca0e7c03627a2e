"""A project that set up REST framework and its schema for an API of its own."""

from tests.settings import *  # noqa: F403

ALLOWED_HOSTS = ["*"]
TIME_ZONE = "Europe/Berlin"
REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.BrowsableAPIRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.FormParser"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.BasicAuthentication"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
    "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.AnonRateThrottle"],
    "DEFAULT_THROTTLE_RATES": {"anon": "1/day"},
    "DEFAULT_VERSIONING_CLASS": "rest_framework.versioning.AcceptHeaderVersioning",
    "DEFAULT_FILTER_BACKENDS": ["rest_framework.filters.SearchFilter"],
    "EXCEPTION_HANDLER": "nowhere.handler",
    "PAGE_SIZE": 1,
    "UNICODE_JSON": False,
    "DATETIME_FORMAT": "%d.%m.%Y",
}
SPECTACULAR_SETTINGS = {"SCHEMA_PATH_PREFIX": "/elsewhere", "POSTPROCESSING_HOOKS": []}
