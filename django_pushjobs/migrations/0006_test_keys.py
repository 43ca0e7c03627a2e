"""Keys that are bound to the sandbox."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("django_pushjobs", "0005_idempotency"),
    ]

    operations = [
        migrations.AddField(
            model_name="apikey",
            name="is_test",
            field=models.BooleanField(
                default=False,
                help_text="Whatever is asked with it goes to the sandbox; it sees nothing else.",
                verbose_name="test key",
            ),
        ),
    ]
