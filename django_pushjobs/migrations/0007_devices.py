"""Devices of our own users, and their tags."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("django_pushjobs", "0006_test_keys"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Device",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "platform",
                    models.CharField(
                        choices=[
                            ("android", "Android"),
                            ("ios", "iOS"),
                            ("web", "browser"),
                            ("other", "other"),
                        ],
                        max_length=16,
                        verbose_name="platform",
                    ),
                ),
                (
                    "app",
                    models.CharField(
                        blank=True,
                        help_text="Where a user has several of ours.",
                        max_length=100,
                        verbose_name="app",
                    ),
                ),
                ("backend", models.CharField(max_length=64, verbose_name="backend")),
                ("address", models.TextField(verbose_name="address")),
                ("address_hash", models.CharField(editable=False, max_length=64)),
                ("locale", models.CharField(blank=True, max_length=35, verbose_name="locale")),
                (
                    "state",
                    models.CharField(
                        choices=[("active", "active"), ("dropped", "dropped")],
                        default="active",
                        max_length=16,
                        verbose_name="state",
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=64, verbose_name="reason")),
                ("evidence", models.JSONField(blank=True, default=dict, verbose_name="evidence")),
                (
                    "state_changed_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, verbose_name="state since"
                    ),
                ),
                (
                    "registered_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, verbose_name="registered"
                    ),
                ),
                (
                    "last_seen_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, verbose_name="last seen"
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="push_devices",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
            ],
            options={
                "verbose_name": "device",
                "verbose_name_plural": "devices",
                "ordering": ("-id",),
            },
        ),
        migrations.CreateModel(
            name="DeviceTag",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=64, verbose_name="tag")),
                (
                    "device",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="tag_rows",
                        to="django_pushjobs.device",
                    ),
                ),
            ],
            options={
                "verbose_name": "tag of a device",
                "verbose_name_plural": "tags of devices",
                "ordering": ("name",),
            },
        ),
        migrations.AddIndex(
            model_name="device",
            index=models.Index(
                fields=["backend", "state", "state_changed_at"], name="pushjobs_dropped"
            ),
        ),
        migrations.AddConstraint(
            model_name="device",
            constraint=models.UniqueConstraint(
                fields=("address_hash", "platform", "app"), name="pushjobs_one_device"
            ),
        ),
        migrations.AddConstraint(
            model_name="device",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["active", "dropped"])),
                name="pushjobs_device_state_known",
            ),
        ),
        migrations.AddIndex(
            model_name="devicetag",
            index=models.Index(fields=["name", "id"], name="pushjobs_by_tag"),
        ),
        migrations.AddConstraint(
            model_name="devicetag",
            constraint=models.UniqueConstraint(fields=("device", "name"), name="pushjobs_tag_once"),
        ),
    ]
