"""The API, and what REST framework does by itself: a create of the same row, and nothing else."""

from __future__ import annotations

from django.urls import include, path
from django.utils import timezone
from rest_framework import generics, serializers

from django_pushjobs.models import PushRequest
from django_pushjobs.states import Status


class BareSerializer(serializers.ModelSerializer[PushRequest]):
    class Meta:
        model = PushRequest
        fields = ("id", "recipients", "title", "body", "data", "reference", "status", "created_at")


class BareView(generics.CreateAPIView[PushRequest]):
    queryset = PushRequest.objects.all()
    serializer_class = BareSerializer
    authentication_classes = ()
    permission_classes = ()

    def perform_create(self, serializer: serializers.BaseSerializer[PushRequest]) -> None:
        serializer.save(status=Status.QUEUED, queued_at=timezone.now(), backend="gateway")


urlpatterns = [
    path("api/v1/", include("django_pushjobs.api.urls")),
    path("bare", BareView.as_view()),
]
