"""``manage.py pushjobs_vapid``: a key for Web Push."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...backends import vapid


class Command(BaseCommand):
    help = (
        "Generate a VAPID key for Web Push and print both halves: the private key for the "
        "settings, and the public key, which is the applicationServerKey for browsers."
    )
    # It has to run before the settings pass the checks, since they need the key.
    requires_system_checks: list[str] = []  # noqa: RUF012

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--public-of",
            metavar="KEY",
            help="do not generate a key, but print the public half of this private key (- reads it "
            "from stdin)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        given: str | None = options["public_of"]
        try:
            if given is not None:
                text = input() if given == "-" else given
                self.stdout.write(vapid.public_text(vapid.load(text)))
                return
            key = vapid.new_key()
        except (ValueError, EOFError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"private_key: {vapid.private_text(key)}")
        self.stdout.write(f"public key:  {vapid.public_text(key)}")
