"""The home page: links to everything else."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import urljoin

from django.urls import reverse
from django.views.generic import TemplateView

from django_pushjobs.conf import conf


class Place(NamedTuple):
    name: str
    url: str
    about: str


class HomeView(TemplateView):
    template_name = "example_project/home.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        gateway_url = conf().BACKENDS["gateway"]["OPTIONS"]["url"]
        return super().get_context_data(
            places=[
                Place("This browser", reverse("browser"), "Subscribe it and push to yourself."),
                Place(
                    "API docs", reverse("pushjobs:docs"), "Every call, to read about and to try."
                ),
                Place("Admin", reverse("admin:index"), "Push requests, clients and their keys."),
                Place("Queue", reverse("django_rq:home"), "Jobs and workers, shown by django-rq."),
                Place("Gateway", urljoin(gateway_url, "/stats"), "What the simulator has counted."),
            ],
            api_url=self.request.build_absolute_uri(reverse("pushjobs:push-request-list")),
            **kwargs,
        )
