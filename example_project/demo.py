"""The demo: a third party submits, the worker pushes, the gateway counts, and it adds up."""

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

#: Between two looks at what is going on, in seconds.
LOOK = 0.25


@dataclass(frozen=True, slots=True)
class Demo:
    """
    :param requests: push requests to submit, one recipient each.
    :param connections: keep-alive connections of the third party.
    :param deadline: seconds for submitting, and again for all to become final.
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
        """Submit, wait and return what came of it.

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
        phases = ["accepted", "final", *(["told"] if receiver.secret else [])]
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
                self._wait_until_told(receiver, submitted, progress["told"])
        return self._report(submitted, resources, receiver)

    def _wait_until_told(
        self, receiver: Receiver, submitted: Submitted, progress: Callable[[int], None]
    ) -> None:
        deadline = time.monotonic() + self.deadline
        while time.monotonic() < deadline:
            told = sum(key in receiver.told for key in submitted.accepted)
            progress(told)
            if told == len(submitted.accepted):
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
            told=dict(receiver.told) if receiver.secret else None,
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
