"""The example project for a WSGI server."""

import gc
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")
application = get_wsgi_application()
# The URLs and their views: otherwise the first call loads them, while all others wait.
_ = get_resolver().url_patterns
# What is loaded by now stays. With thousands of calls in one process, a collector that visits it
# again and again holds up all of them for a tenth of a second each time.
gc.collect()
gc.freeze()
