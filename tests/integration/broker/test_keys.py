"""Whose keys they are: of the site that the settings name, or that the database knows."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from pytest_django import DjangoAssertNumQueries, Settings

from django_pushjobs.broker import keys
from django_pushjobs.models import Site
from django_pushjobs.models.sites import make_site, site_identifier


@pytest.fixture
def unnamed(settings: Settings) -> Iterator[None]:
    settings.PUSHJOBS = settings.PUSHJOBS | {"REDIS_PREFIX": ""}
    yield
    keys.forget()


def test_the_settings_say_it_without_the_database(settings: Settings) -> None:
    settings.PUSHJOBS = settings.PUSHJOBS | {"REDIS_PREFIX": "shop"}
    assert keys.key("lease", "relay") == "{shop}:lease:relay"
    settings.PUSHJOBS = settings.PUSHJOBS | {"REDIS_PREFIX": "shop:eu"}
    assert keys.key("lease", "relay") == "{shop:eu}:lease:relay"


@pytest.mark.django_db
def test_otherwise_the_database_is_asked_once(
    unnamed: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    site = Site.objects.get()
    with django_assert_num_queries(1):
        assert keys.key("events", 7) == f"{{pushjobs:{site}}}:events:7"
        assert keys.key("events", 8) == f"{{pushjobs:{site}}}:events:8"
    assert re.fullmatch("[0-9a-f]{8}", site.identifier)


@pytest.mark.django_db
def test_a_key_is_made_once() -> None:
    assert keys.key("rate", "client:1:burst") is keys.key("rate", "client:1:burst")


@pytest.mark.django_db(transaction=True)
def test_all_who_ask_at_once_are_told_the_same() -> None:
    for round_ in range(5):
        Site.objects.all().delete()
        told: list[str] = []
        barrier = threading.Barrier(8)

        def ask(barrier: threading.Barrier = barrier, told: list[str] = told) -> None:
            barrier.wait()
            told.append(site_identifier())

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert told == [Site.objects.get().identifier] * 8, round_


@pytest.mark.django_db(transaction=True)
def test_whoever_only_asks_keeps_no_connection() -> None:
    kept: list[object] = []

    def ask() -> None:
        site_identifier()
        kept.append(connection.connection)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert kept == [None]


@pytest.mark.django_db(transaction=True)
def test_a_second_migration_changes_nothing_and_a_flush_makes_another() -> None:
    before = site_identifier()
    call_command("migrate", verbosity=0)
    assert site_identifier() == before
    call_command("flush", interactive=False, verbosity=0)
    assert Site.objects.get().identifier != before


@pytest.mark.django_db
def test_without_the_table_there_is_no_row() -> None:
    class Empty:
        def get_model(self, *args: str) -> None:
            raise LookupError

    Site.objects.all().delete()
    make_site(using="default", apps=Empty())  # type: ignore[arg-type]
    assert not Site.objects.exists()
    make_site(using="default", apps=apps)
    assert Site.objects.exists()
