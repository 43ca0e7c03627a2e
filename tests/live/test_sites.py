"""Sites that share a database of Redis: neither sees, or is in the way of, what is the other's."""

from __future__ import annotations

import itertools
import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stack import Stack
from tests.support.stack import stack as lend
from tests.support.waiting import eventually
from tests.support.web import Web, events

MESSAGE = {"recipients": ["token"], "title": "Hello"}
LATER = MESSAGE | {"send_at": "2099-01-01T00:00:00Z"}

PREFIX = "from django_pushjobs.broker import keys\nprint(keys.prefix())"
#: A copy of a database would be the same site.
ANOTHER_SITE = "from django_pushjobs.models import Site\nSite.objects.all().delete()"
REGISTER = """
from django_pushjobs.callbacks import endpoints
from django_pushjobs.models import ApiClient
endpoints.register(ApiClient.objects.get(name="acme"), {url!r})
"""
DUE_SOON = """
from datetime import timedelta
from django.utils import timezone
from django_pushjobs.services import submit
submit(recipients=["token"], title="Hello", send_at=timezone.now() + timedelta(seconds=1))
"""
OPEN = """
from django_pushjobs.events import streams
from django_pushjobs.models import ApiClient
client = ApiClient.objects.create(name="acme")
streams.open_stream(client.pk)
print(client.pk)
"""
ASK = """
from django_pushjobs.models import ApiClient
from django_pushjobs.services import submit
submit(recipients=["token"], title="Hello", client=ApiClient.objects.get())
"""
HEARD = """
from django_pushjobs.events import streams
from django_pushjobs.models import ApiClient
print(len(list(streams.between(ApiClient.objects.get().pk, "0-0", "+"))))
"""
TAKE_ALL = """
from django_pushjobs.limits.rates import RateLimit, Take, take
from django_pushjobs.limits.slots import ConcurrencyLimit, acquire
[grant] = take(Take(RateLimit("client:1:day", 1, 600)))
[slots] = acquire([(ConcurrencyLimit("client:1:unfinished", 1), ["one"])], lease=600)
print(grant.allowed, len(slots.held))
"""


@pytest.fixture
def other(stack: Stack, tmp_path: Path) -> Iterator[Stack]:
    """Another site, whose jobs have other names."""
    folder = tmp_path / "other"
    folder.mkdir()
    with lend(folder, "other_live_tests") as other:
        other.run(ANOTHER_SITE)
        other.environment["RQ_KEY_PREFIX"] = "rq-other"
        yield other


def use_everything(stack: Stack) -> None:
    """Let a worker and a web server do whatever leaves something in Redis."""
    stack.gateway()
    (receiver,) = stack.python("-m", "tests.support.receiver").says(r"^(http\S+)$")
    worker = stack.worker("pushjobs", "callbacks", "default", "--processes=2", "--with-scheduler")
    web = Web(stack)
    stack.run(REGISTER.format(url=f"{receiver}/pushes"))
    with web.open("GET", "/events") as response:
        stream = events(response)
        answers = [
            web.call("POST", body=MESSAGE, Prefer="wait=30", Idempotency_Key="k") for _ in "12"
        ]
        assert [answer.json["status"] for answer in answers] == ["succeeded"] * 2
        told = list(itertools.islice(stream, 3))
    assert {event["data"]["status"] for event in told} == {"queued", "running", "succeeded"}
    # A second stream wakes the reader of the first, and what is unfinished holds its slot.
    web.secret = stack.key("another")
    with web.open("GET", "/events"):
        assert web.call("POST", body=LATER).json["status"] == "pending"
    later = web.call("POST", body=LATER).json["id"]
    assert web.call("POST", f"/{later}/cancel").json["status"] == "canceled"
    stack.run(DUE_SOON)
    eventually(
        lambda: stack.statuses() == {"succeeded": 2, "canceled": 1, "pending": 1},
        what="what was due is done",
    )
    eventually(
        lambda: len(json.loads(stack.run(WORKERS))) == 2, what="both processes show how they are"
    )
    # No secret was set: what matters here is that the job of the endpoint has run.
    eventually(lambda: stack.query(CALLED).get("push.request.completed"), what="callbacks")
    assert "Traceback" not in worker.output + web.program.output
    assert not re.search("NOPERM|not enforced|cannot reach", worker.output + web.program.output)


WORKERS = """
from django.core.management import call_command
call_command("pushjobs_workers", json=True)
"""
CALLED = "SELECT type, MAX(attempts) FROM django_pushjobs_callbackevent GROUP BY type"


def kinds(stack: Stack, prefix: str) -> set[str]:
    """Return the kinds of our keys; all others are RQ's."""
    keys = [key.decode() for key in stack.redis.scan_iter(count=1_000)]
    ours = [key for key in keys if not key.startswith("rq:")]
    assert all(key.startswith(f"{prefix}:") for key in ours), ours
    return {key.removeprefix(f"{prefix}:").partition(":")[0] for key in ours}


def test_all_keys_begin_with_the_id_of_the_site_or_are_those_of_rq(stack: Stack) -> None:
    stack.environment["DJANGO_SETTINGS_MODULE"] = "tests.live.settings_sites"
    use_everything(stack)
    prefix = stack.run(PREFIX)
    assert re.fullmatch(r"\{pushjobs:[0-9a-f]{8}\}", prefix)
    # A note for a callback endpoint is gone once its job has started.
    assert kinds(stack, prefix) - {"callbacks"} == {
        *("control", "events", "lease", "rate", "slots", "vitals")
    }


def test_a_user_of_redis_needs_no_other_keys(stack: Stack) -> None:
    rules = (
        "resetkeys ~{shop}:* ~rq:* resetchannels &rq:pubsub:* "
        "+@all -@admin -@dangerous +info +client|list +client|unblock"
    )
    root = stack.redis
    root.execute_command("ACL", "SETUSER", "shop", "on", ">secret", *rules.split())
    root.execute_command("ACL", "LOG", "RESET")
    try:
        stack.environment |= {
            "DJANGO_SETTINGS_MODULE": "tests.live.settings_sites",
            "TEST_REDIS_PREFIX": "shop",
            "REDIS_URL": stack.environment["REDIS_URL"].replace("redis://", "redis://shop:secret@"),
        }
        use_everything(stack)
        worker = next(p for p in stack.programs if "is ready" in p.output)
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0, worker.output
        assert kinds(stack, "{shop}") > {"events", "rate"}
        # Redis notes whatever it has refused, also inside of scripts.
        assert root.execute_command("ACL", "LOG") == []
    finally:
        root.execute_command("ACL", "DELUSER", "shop")


def test_each_site_has_a_relay(stack: Stack, other: Stack) -> None:
    stack.gateway()
    other.environment["GATEWAY_URL"] = stack.environment["GATEWAY_URL"]
    stack.worker("--processes=1")
    eventually(lambda: len(stack.redis.keys("*:lease:relay")) == 1, what="one has the lease")
    other.worker("--processes=1")
    other.run(DUE_SOON)
    other.all_end_as("succeeded", 1)
    assert set(stack.redis.keys("*:lease:relay")) == {
        f"{site.run(PREFIX)}:lease:relay".encode() for site in (stack, other)
    }


def test_nobody_hears_of_what_the_other_site_does(stack: Stack, other: Stack) -> None:
    numbers = {site.run(OPEN) for site in (stack, other)}
    assert len(numbers) == 1
    other.run(ASK)
    assert other.run(HEARD) == "1"
    assert stack.run(HEARD) == "0"


def test_limits_of_one_site_are_not_those_of_the_other(stack: Stack, other: Stack) -> None:
    assert stack.run(TAKE_ALL) == "True 1"
    assert other.run(TAKE_ALL) == "True 1"
    assert stack.run(TAKE_ALL) == "False 1"
