"""Faults of the gateway that is pushed to."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import ClassVar
from urllib.parse import urlsplit
from uuid import UUID

from django_pushjobs.states import Status

from ..audit import Row
from ..world import World
from .fault import Fault
from .processes import ChildKill


class GatewayFault(Fault):
    """The gateway fails a share of the messages, until all are submitted."""

    errors: ClassVar[dict[str, float]]

    def strike(self, world: World) -> None:
        world.control_gateway(errors=self.errors, retry_after=1)

    def heal(self, world: World) -> None:
        world.control_gateway(errors={})


class GatewayErrors(GatewayFault):
    name = "gateway-500"
    summary = "half of the messages are answered with 500"
    errors: ClassVar = {"500": 0.5}


class GatewayThrottles(GatewayFault):
    name = "gateway-429"
    summary = "half of the messages are answered with 429 and Retry-After"
    errors: ClassVar = {"429": 0.5}


class GatewayResets(GatewayFault):
    name = "gateway-reset"
    summary = "a third of the connections are cut, before or after the message was taken"
    repeats = True
    errors: ClassVar = {"reset": 0.17, "lost": 0.17}


class GatewaySilence(GatewayFault):
    name = "gateway-silent"
    summary = "a tenth of the messages are never answered"
    repeats = True
    errors: ClassVar = {"hang": 0.1}


class GatewayAway(Fault):
    name = "gateway-away"
    summary = "SIGKILL the gateway; after a while it is back on the same port: none has failed"
    repeats = True

    def strike(self, world: World) -> None:
        port = urlsplit(world.stack.gateway_url).port
        assert port
        world.gateway.end()
        time.sleep(world.pace.outage)
        world.start_gateway(port)

    def audit(self, world: World, rows: Mapping[UUID, Row]) -> Iterator[str]:
        failed = [key for key, row in rows.items() if row.status != Status.SUCCEEDED]
        if failed:
            yield f"{len(failed)} push requests have not succeeded: {failed[:3]}"


class UnknownStop(Fault):
    name = "unknown-stop"
    summary = "on_unknown=stop while connections are cut: no message is taken twice"
    fields: ClassVar = {"on_unknown": "stop"}

    def parts(self, world: World) -> list[tuple[Fault, float]]:
        return [(GatewayResets(), 1.0), (ChildKill(), 1.5)]


class MixedGateway(GatewayFault):
    errors: ClassVar = {"500": 0.05, "429": 0.05, "reset": 0.02, "lost": 0.02, "hang": 0.01}
