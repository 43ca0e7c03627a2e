"""A third party that is told of its requests, by callbacks and by its stream of events."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.request import Request, urlopen
from uuid import UUID

from django.db import DatabaseError, connections
from redis.exceptions import RedisError

from django_pushjobs.broker import Unavailable, queues
from django_pushjobs.callbacks import endpoints
from django_pushjobs.events import streams
from django_pushjobs.models import ApiClient

from .audit import Row

#: Seconds between two looks at the stream.
LOOK = 0.2


class Audience:
    """A client with a callback endpoint, and a reader of its stream in a thread.

    :param url: of a receiver, see tests/support/receiver.py.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.client = ApiClient.objects.create(name=f"audience {uuid.uuid4()}")
        self._endpoint, secret = endpoints.register(self.client, f"{url}/", trusted=True)
        with urlopen(Request(f"{url}/secret", secret.encode()), timeout=30):
            pass
        #: The requests that its stream told of.
        self._streamed: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        endpoints.delete(self._endpoint)

    def problems(self, rows: Mapping[UUID, Row], patience: float) -> Iterator[str]:
        """Yield a sentence for each thing that was told wrongly, or not at all.

        :param rows: all requests of this client.
        :param patience: seconds until each of those that ended must have been reported.
        """
        ended = {str(key) for key, row in rows.items() if row.is_final}
        deadline = time.monotonic() + patience
        while (events := self._events()) is not None and time.monotonic() < deadline:
            if ended <= {data["id"] for _, data in events}:
                break
            time.sleep(LOOK)
        told: dict[str, list[str]] = {}
        for number, data in events:
            # What is repeated keeps its number.
            if number not in told.setdefault(data["id"], []):
                told[data["id"]].append(number)
        if missing := ended - told.keys():
            yield f"{len(missing)} ended push requests were not reported: {sorted(missing)[:3]}"
        ours = {str(key) for key in rows}
        if foreign := told.keys() - ours:
            yield f"{len(foreign)} callbacks are about foreign push requests: {sorted(foreign)[:3]}"
        if foreign := self._streamed - ours:
            yield f"{len(foreign)} events are about foreign push requests: {sorted(foreign)[:3]}"
        if muddled := [key for key, numbers in told.items() if numbers != sorted(numbers)]:
            yield f"{len(muddled)} push requests were reported out of order: {muddled[:3]}"
        lies = [
            data["id"]
            for _, data in events
            if data["id"] in ended and data["status"] != rows[UUID(data["id"])].status
        ]
        if lies:
            yield f"{len(lies)} callbacks contradict their rows: {lies[:3]}"

    def _events(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the numbers and the data of the callbacks, in the order of their arrival."""
        with urlopen(f"{self._url}/events", timeout=30) as response:
            found = json.load(response)
        if found["refused"]:
            raise AssertionError(f"{found['refused']} callbacks have a wrong signature")
        return [(number, event["data"]) for number, event in found["events"]]

    def _listen(self) -> None:
        after = "0"
        while not self._over.wait(LOOK):
            # It is struck, and what it loses is lost.
            with suppress(RedisError, Unavailable, DatabaseError):
                streams.open_stream(self.client.pk)
                raw = queues.connection().xrange(streams.key(self.client.pk), f"({after}")
                if raw:
                    after = raw[-1][0].decode()
                self._streamed |= {event.request_id for event in streams.events(raw)}
        connections.close_all()
