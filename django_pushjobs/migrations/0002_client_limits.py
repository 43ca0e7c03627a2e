"""Limits of clients; scopes, networks and the last use of keys."""

from django.db import migrations, models

import django_pushjobs.models.clients


class Migration(migrations.Migration):
    dependencies = [
        ("django_pushjobs", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="apiclient",
            name="daily_quota",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="Push requests a day (UTC). Empty: as in the settings; 0: no limit.",
                null=True,
                verbose_name="daily quota",
            ),
        ),
        migrations.AddField(
            model_name="apiclient",
            name="max_unfinished",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="At a time, and not final. Empty: as in the settings; 0: no limit.",
                null=True,
                verbose_name="unfinished push requests",
            ),
        ),
        migrations.AddField(
            model_name="apiclient",
            name="rate_limit",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="Calls in RATE_WINDOW seconds. Empty: as in the settings; 0: no limit.",
                null=True,
                verbose_name="rate limit",
            ),
        ),
        migrations.AddField(
            model_name="apikey",
            name="allowed_networks",
            field=models.JSONField(
                blank=True,
                default=list,
                validators=[django_pushjobs.models.clients.validate_networks],
                verbose_name="allowed networks",
            ),
        ),
        migrations.AddField(
            model_name="apikey",
            name="last_used_at",
            field=models.DateTimeField(
                blank=True, editable=False, null=True, verbose_name="last used"
            ),
        ),
        migrations.AddField(
            model_name="apikey",
            name="scopes",
            field=models.JSONField(
                default=django_pushjobs.models.clients.all_scopes, verbose_name="scopes"
            ),
        ),
    ]
