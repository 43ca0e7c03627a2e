"""The tables as they first stand; nothing was released before them."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import django_pushjobs.models.exact
import django_pushjobs.models.identifiers
import django_pushjobs.models.indexes
import django_pushjobs.models.keys
import django_pushjobs.models.sites


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ApiClient",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    django_pushjobs.models.exact.ExactCharField(
                        max_length=100, unique=True, verbose_name="name"
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(
                        default=True,
                        help_text="The keys of an inactive client are refused.",
                        verbose_name="active",
                    ),
                ),
                (
                    "rate_limit",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Calls per RATE_WINDOW seconds. Leave empty to use the setting; 0 means no limit.",
                        null=True,
                        verbose_name="rate limit",
                    ),
                ),
                (
                    "daily_quota",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Push requests per day (UTC). Leave empty to use the setting; 0 means no limit.",
                        null=True,
                        verbose_name="daily quota",
                    ),
                ),
                (
                    "max_unfinished",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="At the same time. Leave empty to use the setting; 0 means no limit.",
                        null=True,
                        verbose_name="unfinished push requests",
                    ),
                ),
                (
                    "may_set_callback_url",
                    models.BooleanField(
                        default=False,
                        help_text="A push request may name its own URL, on the same host as one of the endpoints.",
                        verbose_name="may set callback URL",
                    ),
                ),
                (
                    "may_broadcast",
                    models.BooleanField(
                        default=False,
                        help_text="Its recipients may be topics and conditions, which reach many devices.",
                        verbose_name="may broadcast",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, editable=False, verbose_name="created"
                    ),
                ),
                (
                    "live",
                    models.OneToOneField(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="double",
                        to="django_pushjobs.apiclient",
                        verbose_name="live client",
                    ),
                ),
            ],
            options={
                "verbose_name": "API client",
                "verbose_name_plural": "API clients",
                "ordering": ("name",),
            },
        ),
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        help_text="Where the key is used.", max_length=100, verbose_name="name"
                    ),
                ),
                (
                    "prefix",
                    django_pushjobs.models.exact.ExactCharField(
                        editable=False, max_length=16, unique=True, verbose_name="prefix"
                    ),
                ),
                ("hashed_key", models.CharField(editable=False, max_length=150)),
                (
                    "scopes",
                    models.JSONField(
                        default=django_pushjobs.models.keys.all_scopes, verbose_name="scopes"
                    ),
                ),
                (
                    "allowed_networks",
                    models.JSONField(
                        blank=True,
                        default=list,
                        validators=[django_pushjobs.models.keys.validate_networks],
                        verbose_name="allowed networks",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, editable=False, verbose_name="created"
                    ),
                ),
                (
                    "last_used_at",
                    models.DateTimeField(
                        blank=True, editable=False, null=True, verbose_name="last used"
                    ),
                ),
                ("expires_at", models.DateTimeField(blank=True, null=True, verbose_name="expires")),
                (
                    "revoked_at",
                    models.DateTimeField(
                        blank=True, editable=False, null=True, verbose_name="revoked"
                    ),
                ),
                (
                    "client",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="keys",
                        to="django_pushjobs.apiclient",
                        verbose_name="client",
                    ),
                ),
            ],
            options={
                "verbose_name": "API key",
                "verbose_name_plural": "API keys",
                "ordering": ("-created_at",),
            },
        ),
        migrations.CreateModel(
            name="CallbackEndpoint",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=django_pushjobs.models.identifiers.time_ordered_uuid,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("url", models.CharField(max_length=2048, verbose_name="URL")),
                (
                    "event_types",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="Leave empty for all of them.",
                        verbose_name="event types",
                    ),
                ),
                ("encrypted_secret", models.TextField(editable=False)),
                ("encrypted_previous_secret", models.TextField(blank=True, editable=False)),
                (
                    "previous_secret_expires_at",
                    models.DateTimeField(
                        blank=True,
                        editable=False,
                        null=True,
                        verbose_name="previous secret expires",
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("unverified", "unverified"),
                            ("active", "active"),
                            ("paused", "paused"),
                            ("disabled", "disabled"),
                        ],
                        default="unverified",
                        editable=False,
                        max_length=16,
                        verbose_name="state",
                    ),
                ),
                (
                    "reason",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("gone", "it answered 410 Gone"),
                            ("failing", "every attempt has failed for five days"),
                            ("unverified", "it has not returned the challenge within a day"),
                        ],
                        editable=False,
                        max_length=16,
                        verbose_name="reason",
                    ),
                ),
                (
                    "verified_at",
                    models.DateTimeField(
                        blank=True, editable=False, null=True, verbose_name="verified"
                    ),
                ),
                (
                    "disabled_at",
                    models.DateTimeField(
                        blank=True, editable=False, null=True, verbose_name="disabled"
                    ),
                ),
                (
                    "last_attempt_at",
                    models.DateTimeField(
                        blank=True, editable=False, null=True, verbose_name="last attempt"
                    ),
                ),
                (
                    "failing_since",
                    models.DateTimeField(
                        blank=True, editable=False, null=True, verbose_name="failing since"
                    ),
                ),
                (
                    "resting_until",
                    models.DateTimeField(
                        blank=True, editable=False, null=True, verbose_name="resting until"
                    ),
                ),
                ("owner", models.CharField(blank=True, editable=False, max_length=64)),
                ("lease_expires_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "created_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, editable=False, verbose_name="created"
                    ),
                ),
                (
                    "client",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="callback_endpoints",
                        to="django_pushjobs.apiclient",
                        verbose_name="client",
                    ),
                ),
            ],
            options={
                "verbose_name": "callback endpoint",
                "verbose_name_plural": "callback endpoints",
                "ordering": ("-id",),
            },
        ),
        migrations.CreateModel(
            name="CallbackEvent",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=django_pushjobs.models.identifiers.time_ordered_uuid,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "type",
                    models.CharField(
                        choices=[
                            ("push.request.completed", "request completed"),
                            ("push.request.expired", "request expired"),
                            ("push.request.canceled", "request canceled"),
                            ("push.endpoint.disabled", "endpoint disabled"),
                            ("push.endpoint.test", "test"),
                            ("push.endpoint.verification", "verification"),
                        ],
                        max_length=64,
                        verbose_name="type",
                    ),
                ),
                ("data", models.JSONField(verbose_name="data")),
                (
                    "url",
                    models.CharField(
                        blank=True,
                        help_text="If empty, the URL of the endpoint is called.",
                        max_length=2048,
                        verbose_name="URL",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "pending"),
                            ("delivered", "delivered"),
                            ("failed", "failed"),
                        ],
                        default="pending",
                        editable=False,
                        max_length=16,
                        verbose_name="status",
                    ),
                ),
                (
                    "attempts",
                    models.PositiveIntegerField(default=0, editable=False, verbose_name="attempts"),
                ),
                (
                    "next_attempt_at",
                    models.DateTimeField(
                        blank=True, editable=False, null=True, verbose_name="next attempt"
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, editable=False, verbose_name="created"
                    ),
                ),
                (
                    "finished_at",
                    models.DateTimeField(
                        blank=True, editable=False, null=True, verbose_name="finished"
                    ),
                ),
                (
                    "endpoint",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="events",
                        to="django_pushjobs.callbackendpoint",
                        verbose_name="endpoint",
                    ),
                ),
            ],
            options={
                "verbose_name": "callback",
                "verbose_name_plural": "callbacks",
                "ordering": ("-id",),
            },
        ),
        migrations.CreateModel(
            name="CallbackAttempt",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.PositiveIntegerField(verbose_name="number")),
                ("started_at", models.DateTimeField(verbose_name="started")),
                (
                    "latency",
                    models.PositiveIntegerField(
                        help_text="In milliseconds.", verbose_name="latency"
                    ),
                ),
                (
                    "status_code",
                    models.PositiveSmallIntegerField(
                        blank=True, null=True, verbose_name="status code"
                    ),
                ),
                (
                    "error_code",
                    models.CharField(blank=True, max_length=64, verbose_name="error code"),
                ),
                (
                    "response",
                    models.TextField(
                        blank=True,
                        help_text="The beginning of the response body.",
                        verbose_name="response",
                    ),
                ),
                (
                    "event",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="journal",
                        to="django_pushjobs.callbackevent",
                        verbose_name="callback",
                    ),
                ),
            ],
            options={
                "verbose_name": "callback attempt",
                "verbose_name_plural": "callback attempts",
                "ordering": ("id",),
            },
        ),
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
                    django_pushjobs.models.exact.ExactCharField(
                        blank=True,
                        help_text="Which of your apps it is, if there are several.",
                        max_length=100,
                        verbose_name="app",
                    ),
                ),
                (
                    "backend",
                    django_pushjobs.models.exact.ExactCharField(
                        max_length=64, verbose_name="backend"
                    ),
                ),
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
                "permissions": (("view_address", "Can view addresses"),),
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
                (
                    "name",
                    django_pushjobs.models.exact.ExactCharField(max_length=64, verbose_name="tag"),
                ),
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
                "verbose_name": "device tag",
                "verbose_name_plural": "device tags",
                "ordering": ("name",),
            },
        ),
        migrations.CreateModel(
            name="IdempotencyRecord",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", django_pushjobs.models.exact.ExactCharField(max_length=64)),
                ("fingerprint", models.CharField(max_length=64)),
                ("status", models.PositiveSmallIntegerField()),
                ("headers", models.JSONField(default=dict)),
                ("body", models.TextField()),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("expires_at", models.DateTimeField(db_index=True)),
                (
                    "client",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="django_pushjobs.apiclient",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Pause",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "backend",
                    django_pushjobs.models.exact.ExactCharField(
                        max_length=64, verbose_name="backend"
                    ),
                ),
                (
                    "origin",
                    django_pushjobs.models.exact.ExactCharField(
                        blank=True,
                        default="",
                        help_text="The provider that it is about; empty: the whole backend.",
                        max_length=255,
                        verbose_name="origin",
                    ),
                ),
                (
                    "client_id",
                    models.PositiveBigIntegerField(
                        default=0,
                        help_text="Whom alone it concerns; 0: everybody.",
                        verbose_name="client",
                    ),
                ),
                (
                    "is_outage",
                    models.BooleanField(
                        default=False,
                        help_text="It cannot be reached; else it refuses us.",
                        verbose_name="outage",
                    ),
                ),
                (
                    "error_code",
                    models.CharField(blank=True, max_length=64, verbose_name="error code"),
                ),
                ("error", models.TextField(blank=True, verbose_name="error")),
                (
                    "since",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="since"),
                ),
                ("until", models.DateTimeField(verbose_name="until")),
                ("failures", models.PositiveIntegerField(default=1, verbose_name="failures")),
                ("probe", models.UUIDField(blank=True, null=True, verbose_name="probe")),
                ("is_reported", models.BooleanField(default=False, editable=False)),
            ],
            options={
                "verbose_name": "paused backend",
                "verbose_name_plural": "paused backends",
                "ordering": ("backend", "origin", "client_id"),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("backend", "origin", "client_id"), name="pushjobs_one_pause"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PushRequest",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=django_pushjobs.models.identifiers.time_ordered_uuid,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "reference",
                    django_pushjobs.models.exact.ExactCharField(
                        blank=True,
                        db_default="",
                        default="",
                        help_text="The third party's own name for it.",
                        max_length=255,
                        verbose_name="reference",
                    ),
                ),
                ("recipients", models.JSONField(verbose_name="recipients")),
                ("title", models.TextField(blank=True, verbose_name="title")),
                ("body", models.TextField(blank=True, verbose_name="body")),
                ("data", models.JSONField(blank=True, default=dict, verbose_name="data")),
                ("options", models.JSONField(blank=True, default=dict, verbose_name="options")),
                (
                    "backend",
                    django_pushjobs.models.exact.ExactCharField(
                        max_length=64, verbose_name="backend"
                    ),
                ),
                (
                    "priority",
                    models.CharField(
                        choices=[("high", "high"), ("normal", "normal"), ("low", "low")],
                        db_default="normal",
                        default="normal",
                        max_length=8,
                        verbose_name="priority",
                    ),
                ),
                (
                    "collapse_key",
                    django_pushjobs.models.exact.ExactCharField(
                        blank=True,
                        db_default="",
                        default="",
                        max_length=64,
                        verbose_name="collapse key",
                    ),
                ),
                ("send_at", models.DateTimeField(blank=True, null=True, verbose_name="send at")),
                (
                    "expires_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="expires at"),
                ),
                (
                    "on_unknown",
                    models.CharField(
                        choices=[
                            ("retry", "push again: it may show twice"),
                            ("stop", "leave it: it may never show"),
                        ],
                        db_default="retry",
                        default="retry",
                        max_length=8,
                        verbose_name="on unknown",
                    ),
                ),
                (
                    "callback_url",
                    models.CharField(
                        blank=True,
                        db_default="",
                        default="",
                        help_text="Called instead of the endpoint's URL.",
                        max_length=2048,
                        verbose_name="callback URL",
                    ),
                ),
                (
                    "request_id",
                    django_pushjobs.models.exact.ExactCharField(
                        blank=True,
                        db_default="",
                        default="",
                        max_length=128,
                        verbose_name="request id",
                    ),
                ),
                (
                    "traceparent",
                    models.CharField(
                        blank=True,
                        db_default="",
                        default="",
                        max_length=64,
                        verbose_name="trace parent",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "pending"),
                            ("queued", "queued"),
                            ("running", "running"),
                            ("succeeded", "succeeded"),
                            ("partial", "partial"),
                            ("failed", "failed"),
                            ("canceled", "canceled"),
                            ("expired", "expired"),
                        ],
                        default="queued",
                        editable=False,
                        max_length=16,
                        verbose_name="status",
                    ),
                ),
                (
                    "error_code",
                    models.CharField(
                        blank=True,
                        db_default="",
                        default="",
                        max_length=64,
                        verbose_name="error code",
                    ),
                ),
                ("error", models.TextField(blank=True, verbose_name="error")),
                (
                    "attempts",
                    models.PositiveIntegerField(db_default=0, default=0, verbose_name="attempts"),
                ),
                (
                    "uncounted_attempts",
                    models.PositiveIntegerField(db_default=0, default=0, editable=False),
                ),
                (
                    "attempt_limit",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Empty: any number.",
                        null=True,
                        verbose_name="attempt limit",
                    ),
                ),
                ("enqueues", models.PositiveIntegerField(db_default=0, default=0, editable=False)),
                (
                    "next_attempt_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="next attempt"),
                ),
                (
                    "cancel_requested_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="cancel requested"),
                ),
                (
                    "owner",
                    models.CharField(
                        blank=True, db_default="", default="", max_length=64, verbose_name="owner"
                    ),
                ),
                (
                    "lease_expires_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="lease expires"),
                ),
                (
                    "total",
                    models.PositiveIntegerField(db_default=0, default=0, verbose_name="addresses"),
                ),
                (
                    "accepted",
                    models.PositiveIntegerField(db_default=0, default=0, verbose_name="accepted"),
                ),
                (
                    "failed",
                    models.PositiveIntegerField(db_default=0, default=0, verbose_name="failed"),
                ),
                (
                    "dropped",
                    models.PositiveIntegerField(db_default=0, default=0, verbose_name="dropped"),
                ),
                (
                    "unknown",
                    models.PositiveIntegerField(db_default=0, default=0, verbose_name="unknown"),
                ),
                ("result", models.JSONField(blank=True, null=True, verbose_name="result")),
                (
                    "created_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, editable=False, verbose_name="created"
                    ),
                ),
                ("queued_at", models.DateTimeField(blank=True, null=True, verbose_name="queued")),
                ("started_at", models.DateTimeField(blank=True, null=True, verbose_name="started")),
                (
                    "finished_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="finished"),
                ),
                (
                    "updated_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, editable=False, verbose_name="updated"
                    ),
                ),
                (
                    "client",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        help_text="Empty if our own code submitted it.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="push_requests",
                        to="django_pushjobs.apiclient",
                        verbose_name="client",
                    ),
                ),
                (
                    "parent",
                    models.ForeignKey(
                        db_index=False,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="parts",
                        to="django_pushjobs.pushrequest",
                    ),
                ),
            ],
            options={
                "verbose_name": "push request",
                "verbose_name_plural": "push requests",
                "ordering": ("-id",),
            },
        ),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("address", models.TextField(verbose_name="address")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("retrying", "retrying"),
                            ("accepted", "accepted"),
                            ("failed", "failed"),
                            ("dropped", "dropped"),
                            ("unknown", "unknown"),
                        ],
                        max_length=16,
                        verbose_name="status",
                    ),
                ),
                (
                    "provider_id",
                    models.CharField(blank=True, max_length=255, verbose_name="provider ID"),
                ),
                (
                    "error_code",
                    models.CharField(blank=True, max_length=64, verbose_name="error code"),
                ),
                ("error", models.TextField(blank=True, verbose_name="error")),
                ("attempts", models.PositiveIntegerField(default=1, verbose_name="attempts")),
                (
                    "next_attempt_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="next attempt"),
                ),
                ("started_at", models.DateTimeField(verbose_name="started")),
                ("finished_at", models.DateTimeField(verbose_name="finished")),
                (
                    "request",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="django_pushjobs.pushrequest",
                        verbose_name="push request",
                    ),
                ),
            ],
            options={
                "verbose_name": "delivery",
                "verbose_name_plural": "deliveries",
                "ordering": ("id",),
            },
        ),
        migrations.AddField(
            model_name="callbackevent",
            name="request",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="callbacks",
                to="django_pushjobs.pushrequest",
                verbose_name="push request",
            ),
        ),
        migrations.CreateModel(
            name="Attempt",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.PositiveIntegerField(verbose_name="number")),
                ("owner", models.CharField(max_length=64, verbose_name="owner")),
                (
                    "end",
                    models.CharField(
                        choices=[
                            ("settled", "ended the request"),
                            ("retry", "will be retried"),
                            ("paused", "waiting for its backend"),
                            ("lost", "the worker was lost"),
                        ],
                        max_length=8,
                        verbose_name="end",
                    ),
                ),
                (
                    "error_code",
                    models.CharField(blank=True, max_length=64, verbose_name="error code"),
                ),
                ("error", models.TextField(blank=True, verbose_name="error")),
                ("codes", models.JSONField(default=dict, verbose_name="outcomes")),
                ("started_at", models.DateTimeField(null=True, verbose_name="started")),
                ("finished_at", models.DateTimeField(verbose_name="finished")),
                ("next_attempt_at", models.DateTimeField(null=True, verbose_name="next attempt")),
                (
                    "request",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="journal",
                        to="django_pushjobs.pushrequest",
                        verbose_name="push request",
                    ),
                ),
            ],
            options={
                "verbose_name": "attempt",
                "verbose_name_plural": "attempts",
                "ordering": ("id",),
            },
        ),
        migrations.CreateModel(
            name="Site",
            fields=[
                (
                    "id",
                    models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False),
                ),
                (
                    "identifier",
                    models.CharField(
                        default=django_pushjobs.models.sites.new_identifier, max_length=32
                    ),
                ),
                ("endpoints_version", models.PositiveBigIntegerField(default=0)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("pk", 1)), name="pushjobs_one_site")
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="callbackendpoint",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["unverified", "active", "paused", "disabled"])),
                name="pushjobs_endpoint_state_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="callbackendpoint",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("verified_at__isnull", False),
                    models.Q(("state__in", ["active", "paused"]), _negated=True),
                    _connector="OR",
                ),
                name="pushjobs_endpoint_active_is_verified",
            ),
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
                fields=("address_hash",), name="pushjobs_one_device"
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
        migrations.AddConstraint(
            model_name="idempotencyrecord",
            constraint=models.UniqueConstraint(
                fields=("client", "key"), name="pushjobs_one_answer_a_key"
            ),
        ),
        migrations.AddIndex(
            model_name="pushrequest",
            index=models.Index(fields=["client", "-id"], name="pushjobs_by_client"),
        ),
        migrations.AddIndex(
            model_name="pushrequest",
            index=django_pushjobs.models.indexes.SparseIndex(
                condition=models.Q(("reference", ""), _negated=True),
                fields=["reference", "client"],
                name="pushjobs_by_reference",
            ),
        ),
        migrations.AddIndex(
            model_name="pushrequest",
            index=models.Index(fields=["status", "-id"], name="pushjobs_by_status"),
        ),
        migrations.AddIndex(
            model_name="pushrequest",
            index=models.Index(
                condition=models.Q(("parent__isnull", False)),
                fields=["parent"],
                name="pushjobs_parts",
            ),
        ),
        migrations.AddIndex(
            model_name="pushrequest",
            index=models.Index(
                condition=models.Q(("status", "pending")),
                fields=["next_attempt_at"],
                name="pushjobs_due",
            ),
        ),
        migrations.AddIndex(
            model_name="pushrequest",
            index=models.Index(
                condition=models.Q(("status", "pending")),
                fields=["backend", "next_attempt_at"],
                name="pushjobs_due_by_backend",
            ),
        ),
        migrations.AddIndex(
            model_name="pushrequest",
            index=models.Index(
                condition=models.Q(
                    ("expires_at__isnull", False), ("status__in", ["pending", "queued"])
                ),
                fields=["expires_at"],
                name="pushjobs_overdue",
            ),
        ),
        migrations.AddIndex(
            model_name="pushrequest",
            index=models.Index(
                condition=models.Q(("status", "queued")),
                fields=["queued_at"],
                name="pushjobs_queued",
            ),
        ),
        migrations.AddIndex(
            model_name="pushrequest",
            index=models.Index(
                condition=models.Q(("status", "running")),
                fields=["lease_expires_at"],
                name="pushjobs_leases",
            ),
        ),
        migrations.AddConstraint(
            model_name="pushrequest",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "status__in",
                        [
                            "pending",
                            "queued",
                            "running",
                            "succeeded",
                            "partial",
                            "failed",
                            "canceled",
                            "expired",
                        ],
                    )
                ),
                name="pushjobs_status_is_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="pushrequest",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status", "pending"), _negated=True),
                    ("next_attempt_at__isnull", False),
                    _connector="OR",
                ),
                name="pushjobs_pending_has_a_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="pushrequest",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("status", "running"),
                        models.Q(("owner", ""), _negated=True),
                        ("lease_expires_at__isnull", False),
                    ),
                    models.Q(
                        models.Q(("status", "running"), _negated=True),
                        ("lease_expires_at__isnull", True),
                        ("owner", ""),
                    ),
                    _connector="OR",
                ),
                name="pushjobs_running_has_an_owner",
            ),
        ),
        migrations.AddConstraint(
            model_name="pushrequest",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("finished_at__isnull", False),
                        ("status__in", ["canceled", "expired", "failed", "partial", "succeeded"]),
                    ),
                    models.Q(
                        ("finished_at__isnull", True),
                        ("status__in", ["pending", "queued", "running"]),
                    ),
                    _connector="OR",
                ),
                name="pushjobs_final_has_an_end",
            ),
        ),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("status__in", ["retrying", "accepted", "failed", "dropped", "unknown"])
                ),
                name="pushjobs_delivery_status_known",
            ),
        ),
        migrations.AddIndex(
            model_name="callbackevent",
            index=models.Index(
                fields=["endpoint", "status", "next_attempt_at"], name="pushjobs_callbacks_due"
            ),
        ),
        migrations.AddIndex(
            model_name="callbackevent",
            index=models.Index(fields=["endpoint", "-id"], name="pushjobs_callbacks_of_endpoint"),
        ),
        migrations.AddConstraint(
            model_name="callbackevent",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("next_attempt_at__isnull", False), ("status", "pending")),
                    models.Q(
                        ("next_attempt_at__isnull", True), ("status__in", ["delivered", "failed"])
                    ),
                    _connector="OR",
                ),
                name="pushjobs_callback_pending_has_a_time",
            ),
        ),
    ]
