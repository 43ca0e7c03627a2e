"""The forms of the admin that are not those of a model."""

from __future__ import annotations

from datetime import datetime, timedelta

from django import forms
from django.contrib.admin.widgets import AdminSplitDateTime
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..callbacks import endpoints
from ..conf import conf
from ..models import ApiClient, ApiKey, EventType, Scope
from ..models.keys import validate_networks


class AdminForm(forms.Form):
    """A form that looks like those of the admin."""

    required_css_class = "required"


class IssueKeyForm(AdminForm):
    """Its cleaned data are the arguments of ``ApiKey.objects.issue``, except for the client."""

    name = forms.CharField(
        label=_("Name"),
        max_length=ApiKey._meta.get_field("name").max_length,
        help_text=_("Where the key is used."),
    )
    scopes = forms.MultipleChoiceField(
        label=_("Scopes"),
        choices=Scope.choices,
        initial=Scope.values,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("What the key may be used for."),
    )
    allowed_networks = forms.CharField(
        label=_("Allowed networks"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 40, "spellcheck": "false"}),
        help_text=_(
            "One per line, such as 192.0.2.0/24 or 2001:db8::/32. "
            "Leave empty to allow calls from everywhere."
        ),
    )
    is_test = forms.BooleanField(
        label=_("Test key"),
        required=False,
        help_text=_("Its push requests go to the sandbox, and it cannot see any others."),
    )
    expires_at = forms.SplitDateTimeField(
        label=_("Expires"),
        required=False,
        widget=AdminSplitDateTime,
        help_text=_("Leave empty for a key that is valid until it is revoked."),
    )

    def clean_allowed_networks(self) -> list[str]:
        networks: list[str] = self.cleaned_data["allowed_networks"].split()
        validate_networks(networks)
        return networks

    def clean_is_test(self) -> bool:
        is_test: bool = self.cleaned_data["is_test"]
        if is_test and not conf().TEST_BACKEND:
            raise ValidationError(_("The settings have no TEST_BACKEND."), code="no_test_backend")
        return is_test

    def clean_expires_at(self) -> datetime | None:
        expires_at: datetime | None = self.cleaned_data["expires_at"]
        if expires_at is not None and expires_at <= timezone.now():
            raise ValidationError(_("This is in the past."), code="past")
        return expires_at


class RotateKeyForm(AdminForm):
    """For how long a key and its successor are both valid."""

    hours = forms.IntegerField(
        label=_("Hours"),
        min_value=0,
        max_value=24 * 90,
        initial=24,
        help_text=_("For how long the old key stays valid alongside the new one."),
    )

    @property
    def overlap(self) -> timedelta:
        return timedelta(hours=self.cleaned_data["hours"])


class RegisterEndpointForm(AdminForm):
    """Its cleaned data are the arguments of ``endpoints.register``."""

    client = forms.ModelChoiceField(label=_("Client"), queryset=ApiClient.objects.all())
    url = forms.CharField(
        label=_("URL"),
        widget=forms.TextInput(attrs={"class": "vLargeTextField", "spellcheck": "false"}),
        help_text=_("An https URL on the public internet."),
    )
    event_types = forms.MultipleChoiceField(
        label=_("Event types"),
        required=False,
        choices=[(t.value, t.label) for t in EventType if t.value in endpoints.CHOICES],
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Select none to receive all of them."),
    )
