from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from textwrap import dedent

from django_pushjobs.models.identifiers import delivery_id, time_ordered_uuid


def test_a_key_is_a_uuid_of_version_7() -> None:
    for key in (time_ordered_uuid() for _ in range(200)):
        assert key.version == 7
        assert key.variant == uuid.RFC_4122


def test_a_key_begins_with_the_time() -> None:
    before = time.time_ns() // 1_000_000
    key = time_ordered_uuid()
    assert before <= key.int >> 80 <= time.time_ns() // 1_000_000


def test_keys_of_later_milliseconds_sort_later() -> None:
    first = time_ordered_uuid()
    while time.time_ns() // 1_000_000 <= first.int >> 80:
        pass
    assert first < time_ordered_uuid()
    assert str(first) < str(time_ordered_uuid())


def test_keys_differ_within_a_process_and_across_a_fork() -> None:
    program = """
        import os
        import django
        django.setup()
        from django_pushjobs.models.identifiers import time_ordered_uuid
        time_ordered_uuid()
        child = os.fork()
        keys = [str(time_ordered_uuid()) for _ in range(500)]
        if child:
            os.waitpid(child, 0)  # so that the two do not print at the same time
        print("\\n".join(keys), flush=True)
    """
    command = [sys.executable, "-c", dedent(program)]
    settings = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=settings)
    keys = done.stdout.split()
    assert len(keys) == len(set(keys)) == 1_000


def test_a_delivery_has_the_same_id_at_every_attempt() -> None:
    request = uuid.UUID("0190163d-8694-739b-aea5-966c26f8ad91")
    assert delivery_id(request, "token") == uuid.UUID("eeaad2dc-aac1-55cb-b8fd-0dcac331f97e")


def test_deliveries_of_other_requests_and_addresses_have_other_ids() -> None:
    requests = [time_ordered_uuid() for _ in range(10)]
    ids = {delivery_id(r, address) for r in requests for address in ("a", "b", "ä", "")}
    assert len(ids) == 40
