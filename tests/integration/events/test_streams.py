"""What moved, told through Redis to those who listen."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from django.utils import timezone
from pytest_django import Settings
from redis import Redis

from django_pushjobs import services
from django_pushjobs.events import streams
from django_pushjobs.events.change import Change
from django_pushjobs.events.listeners import Hub, Lagging, TooManyListeners
from django_pushjobs.lifecycle.publisher import Publisher
from django_pushjobs.lifecycle.publisher import publisher as our_publisher
from django_pushjobs.models import PushRequest
from django_pushjobs.states import Status
from tests.support.samples import a_push_request
from tests.support.third_party import ThirdParty, problem

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def acme() -> ThirdParty:
    return ThirdParty()


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    publisher = our_publisher()
    yield publisher
    assert publisher.flush(30)


def change(acme: ThirdParty, status: Status = Status.QUEUED) -> Change:
    return Change.of(a_push_request(status, client=acme.client))


def test_nothing_is_kept_where_nobody_listens(
    acme: ThirdParty, publisher: Publisher, redis: Redis
) -> None:
    publisher.publish([change(acme), Change.of(a_push_request())])
    assert publisher.flush(30)
    assert not redis.keys("{tests}:events:*")


def test_a_listener_hears_what_services_do(acme: ThirdParty, publisher: Publisher) -> None:
    row = services.submit(recipients=["token"], client=acme.client)
    assert publisher.flush(30)
    hub = Hub()
    with hub.listen(acme.client.pk) as all_of_it, hub.listen(acme.client.pk, str(row.pk)) as one:
        services.submit(recipients=["token"], client=acme.client)
        services.cancel(row.pk)
        assert one.wait_for_end(30)
        heard = [all_of_it.next(30), all_of_it.next(30)]
    assert [event and event.status for event in heard] == ["queued", "canceled"]
    assert heard[1] is not None
    assert heard[1].request_id == str(row.pk)
    assert not one.wait_for_end(0)


def test_a_client_hears_nothing_of_another(acme: ThirdParty, publisher: Publisher) -> None:
    hub = Hub()
    with hub.listen(acme.client.pk) as ours, hub.listen(ThirdParty("b").client.pk) as theirs:
        publisher.publish([change(acme)])
        assert ours.next(30) is not None
        assert theirs.next(0) is None


def test_a_stream_can_be_read_again(acme: ThirdParty, publisher: Publisher, redis: Redis) -> None:
    begin = streams.open_stream(acme.client.pk)
    publisher.publish([change(acme) for _ in range(3)])
    assert publisher.flush(30)
    found = list(streams.between(acme.client.pk, begin, "+"))
    assert len(found) == 3
    assert list(streams.between(acme.client.pk, found[0].id, found[1].id)) == found[1:2]
    assert streams.first(acme.client.pk) == begin
    assert 0 < redis.ttl(streams.key(acme.client.pk)) <= streams.RETENTION
    assert sorted(found, key=lambda event: streams.order(event.id)) == found


def test_a_slow_listener_is_told_that_it_has_missed_something(acme: ThirdParty) -> None:
    publisher, hub = Publisher(), Hub()
    one = change(acme)
    with hub.listen(acme.client.pk) as slow, hub.listen(acme.client.pk) as quick:
        # In two parts, so that the quick one never has more to read than a listener may. When it
        # has heard all, the slow one was offered all.
        for part in (1_000, 500):
            publisher.publish([one] * part)
            for _ in range(part):
                assert quick.next(30) is not None
        for _ in range(1_000):
            assert slow.next(30) is not None
        with pytest.raises(Lagging):
            slow.next(30)


def test_there_are_only_so_many_listeners(acme: ThirdParty, settings: Settings) -> None:
    settings.PUSHJOBS = settings.PUSHJOBS | {"MAX_LISTENERS": 1}
    hub = Hub()
    with (
        hub.listen(acme.client.pk),
        pytest.raises(TooManyListeners),
        hub.listen(acme.client.pk),
    ):
        pass
    with hub.listen(acme.client.pk):
        pass


def test_one_client_leaves_room_for_others(acme: ThirdParty, settings: Settings) -> None:
    settings.PUSHJOBS = settings.PUSHJOBS | {"MAX_CLIENT_LISTENERS": 1}
    hub = Hub()
    other = ThirdParty("other")
    with (
        hub.listen(acme.client.pk),
        hub.listen(other.client.pk),
        pytest.raises(TooManyListeners),
        hub.listen(acme.client.pk, "one"),
    ):
        pass
    with hub.listen(acme.client.pk):
        pass


def test_without_redis_nothing_fails(acme: ThirdParty, settings: Settings) -> None:
    publisher = Publisher()
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{unused.getsockname()[1]}/0"
        settings.RQ_QUEUES = {"pushjobs": {"URL": url}}
        publisher.publish([change(acme)] * 10)
        assert publisher.flush(30)


def test_a_server_with_threads_has_no_streams(acme: ThirdParty) -> None:
    row = PushRequest.objects.create(
        client=acme.client, recipients=["t"], backend="dummy", queued_at=timezone.now()
    )
    for path in ("events", f"{row.pk}/events"):
        response = acme.get(path)
        assert response.status_code == 501
        assert problem(response)["title"] == "Not Implemented"
