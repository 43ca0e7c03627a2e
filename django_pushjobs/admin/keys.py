"""Keys on the page of their client: as lines of a table, and as a form to ask for a new one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django import forms
from django.contrib.admin.widgets import AdminSplitDateTime
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from ..conf import conf
from ..models import ApiKey, Scope
from ..models.clients import validate_networks
from .badges import key_badge
from .times import moment


@dataclass(frozen=True, slots=True)
class KeyLine:
    """One key in the table."""

    key: ApiKey

    @property
    def badge(self) -> SafeString:
        return key_badge(self.key)

    @property
    def created(self) -> SafeString | None:
        return moment(self.key.created_at)

    @property
    def scopes(self) -> str:
        return ", ".join(self.key.scopes)

    @property
    def networks(self) -> str:
        return ", ".join(self.key.allowed_networks)

    @property
    def last_used(self) -> SafeString | None:
        return moment(self.key.last_used_at)

    @property
    def expires(self) -> SafeString | None:
        return moment(self.key.expires_at)

    @property
    def revoked(self) -> SafeString | None:
        return moment(self.key.revoked_at)


class IssueKeyForm(forms.Form):
    """Its cleaned data are the arguments of ``ApiKey.objects.issue``, but for the client."""

    required_css_class = "required"

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
        help_text=_("What the key is good for."),
    )
    allowed_networks = forms.CharField(
        label=_("Allowed networks"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 40, "spellcheck": "false"}),
        help_text=_(
            "One a line, such as 192.0.2.0/24 or 2001:db8::/32. Empty: the key is good everywhere."
        ),
    )
    is_test = forms.BooleanField(
        label=_("Test key"),
        required=False,
        help_text=_("Whatever is asked with it goes to the sandbox; it sees nothing else."),
    )
    expires_at = forms.SplitDateTimeField(
        label=_("Expires"),
        required=False,
        widget=AdminSplitDateTime,
        help_text=_("Empty: the key is good until it is revoked."),
    )

    def clean_allowed_networks(self) -> list[str]:
        networks: list[str] = self.cleaned_data["allowed_networks"].split()
        validate_networks(networks)
        return networks

    def clean_is_test(self) -> bool:
        is_test: bool = self.cleaned_data["is_test"]
        if is_test and not conf().TEST_BACKEND:
            raise ValidationError(_("The settings name no TEST_BACKEND."), code="no_test_backend")
        return is_test

    def clean_expires_at(self) -> datetime | None:
        expires_at: datetime | None = self.cleaned_data["expires_at"]
        if expires_at is not None and expires_at <= timezone.now():
            raise ValidationError(_("This lies in the past."), code="past")
        return expires_at


class RotateKeyForm(forms.Form):
    """Asks how long a key and its successor are both good."""

    required_css_class = "required"

    hours = forms.IntegerField(
        label=_("Hours"),
        min_value=0,
        max_value=24 * 90,
        initial=24,
        help_text=_("So long the old key is good beside the new one."),
    )

    @property
    def overlap(self) -> timedelta:
        return timedelta(hours=self.cleaned_data["hours"])
