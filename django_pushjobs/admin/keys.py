"""Keys on the page of their client: as lines of a table, and as a form to ask for a new one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django import forms
from django.contrib.admin.widgets import AdminSplitDateTime
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from ..models import ApiKey
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
    expires_at = forms.SplitDateTimeField(
        label=_("Expires"),
        required=False,
        widget=AdminSplitDateTime,
        help_text=_("Empty: the key is good until it is revoked."),
    )

    def clean_expires_at(self) -> datetime | None:
        expires_at: datetime | None = self.cleaned_data["expires_at"]
        if expires_at is not None and expires_at <= timezone.now():
            raise ValidationError(_("This lies in the past."), code="past")
        return expires_at
