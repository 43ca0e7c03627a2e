"""The demo: a third party submits, the worker pushes, the gateway counts, and all is compared."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.request import urlopen

from .receiver import Receiver
from .report import Report
from .screen import Screen
from .services import Services
from .thirdparty import Submitted, ThirdParty

#: Seconds between two checks of the progress.
LOOK = 0.25


@dataclass(frozen=True, slots=True)
class Demo:
    """One run.

    :param key: the third party's key for the API.
    :param requests: push requests to submit, one recipient each.
    :param connections: keep-alive connections of the third party.
    :param deadline: seconds for submitting, and again for all of them to become final.
    """

    services: Services
    screen: Screen
    web_url: str
    gateway_url: str
    key: str
    requests: int
    connections: int
    deadline: float

    def run(self) -> Report:
        """Submit, wait and return the results.

        :raises ProcessError: a service ended meanwhile.
        :raises ApiError: the API did not answer as promised.
        """
        third_party = ThirdParty(self.web_url, self.key, pause=self._pause)
        with Receiver() as receiver:
            receiver.secret = third_party.listen(receiver.url) or ""
            return self._exchange(third_party, receiver)

    def _exchange(self, third_party: ThirdParty, receiver: Receiver) -> Report:
        self.screen.heading(
            f"A third party submits {self.requests:,} push requests"
            f" over {self.connections} connections"
        )
        phases = ["accepted", "final", *(["called back"] if receiver.secret else [])]
        with self.screen.progress(*phases, total=self.requests) as progress:
            submitted = third_party.submit(
                list(messages(self.requests)),
                connections=self.connections,
                deadline=time.monotonic() + self.deadline,
                progress=progress["accepted"],
            )
            resources = third_party.follow(
                submitted.accepted,
                deadline=time.monotonic() + self.deadline,
                progress=progress["final"],
            )
            if receiver.secret:
                self._wait_for_callbacks(receiver, submitted, progress["called back"])
        return self._report(submitted, resources, receiver)

    def _wait_for_callbacks(
        self, receiver: Receiver, submitted: Submitted, progress: Callable[[int], None]
    ) -> None:
        deadline = time.monotonic() + self.deadline
        while time.monotonic() < deadline:
            done = sum(key in receiver.statuses for key in submitted.accepted)
            progress(done)
            if done == len(submitted.accepted):
                break
            self._pause()

    def _report(
        self, submitted: Submitted, resources: dict[str, dict[str, Any]], receiver: Receiver
    ) -> Report:
        return Report(
            asked=self.requests,
            submitted=submitted,
            resources=resources,
            stats=self._ask_gateway("/stats"),
            witnessed=self._ask_gateway("/requests"),
            callbacks=dict(receiver.statuses) if receiver.secret else None,
        )

    def _ask_gateway(self, path: str) -> Any:
        with urlopen(self.gateway_url + path, timeout=30) as response:
            return json.load(response)

    def _pause(self) -> None:
        self.services.check()
        time.sleep(LOOK)


def messages(number: int) -> Iterator[dict[str, Any]]:
    """Yield bodies of ``POST /api/v1/push-requests``."""
    run = uuid.uuid4().hex[:8]
    for index in range(number):
        yield {
            "recipients": [f"device-{index:05}"],
            "title": "Your parcel is on its way",
            "body": f"Parcel {index + 1} arrives today between 2 and 4 pm.",
            "data": {"parcel": index + 1},
            "reference": f"demo-{run}-{index + 1:05}",
        }
