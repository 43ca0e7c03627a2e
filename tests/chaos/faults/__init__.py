"""The faults that are injected, one class each, in modules by what they break."""

from __future__ import annotations

from .clocks import Clocks
from .everything import Everything
from .fault import Fault
from .gateway import (
    GatewayAway,
    GatewayErrors,
    GatewayResets,
    GatewaySilence,
    GatewayThrottles,
    UnknownStop,
)
from .listeners import Callbacks, TwoSites
from .network import PoolRestart, ReplicaLate
from .processes import ArbiterKill, ChildKill, ChildStop, HostKill, LeaseEdge, Parts
from .servers import (
    DatabaseHang,
    DatabaseRestart,
    DatabaseTerminate,
    RedisFlush,
    RedisHang,
    RedisRestart,
    TwoWorkers,
)

__all__ = ["FAULTS", "Fault"]

FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        ChildKill(),
        ArbiterKill(),
        HostKill(),
        ChildStop(),
        RedisFlush(),
        RedisRestart(),
        RedisHang(),
        DatabaseTerminate(),
        DatabaseRestart(),
        DatabaseHang(),
        GatewayErrors(),
        GatewayThrottles(),
        GatewayResets(),
        GatewaySilence(),
        GatewayAway(),
        UnknownStop(),
        LeaseEdge(),
        Parts(),
        TwoWorkers(),
        ReplicaLate(),
        PoolRestart(),
        Clocks(),
        Callbacks(),
        TwoSites(),
        Everything(),
    )
}
