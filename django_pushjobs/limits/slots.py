"""How many at a time: slots that all processes share, kept by Redis and exact.

Each call is one script and one round trip, however many limits it names, and the clock is that of
Redis. What to do without Redis is for the caller to decide: it gets :exc:`broker.Unavailable`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import cast

from ..broker import queues
from ..broker.keys import key
from ..broker.scripts import run


@dataclass(frozen=True, slots=True)
class ConcurrencyLimit:
    """So many holders at a time: a semaphore whose slots are leased.

    A holder that does not acquire again, because it died, loses its slot when the lease ends.

    :param name: which limit; limits of one name share their slots.
    :param limit: slots; with 0 nobody gets one.
    """

    name: str
    limit: int

    @property
    def key(self) -> str:
        return key("slots", self.name)


@dataclass(frozen=True, slots=True)
class Slots:
    """What became of a wish for slots.

    :param held: the holders that have a slot now, of those that were named, in their order.
    :param in_use: slots that are taken now, by whomever.
    :param retry_after: seconds until the first lease ends, unless it is renewed or its slot is
        released before; 0 if no slot is taken.
    """

    held: tuple[str, ...]
    in_use: int
    retry_after: float


#: KEYS are limits; ARGV is what to do, then for each limit: its slots, the lease in milliseconds,
#: the number of holders, and the holders. A limit is a sorted set of holders by the end of their
#: lease.
_SLOTS = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local verb, cursor, answer = ARGV[1], 2, {}

for i, key in ipairs(KEYS) do
    local limit, lease = tonumber(ARGV[cursor]), tonumber(ARGV[cursor + 1])
    local count = tonumber(ARGV[cursor + 2])
    local held, entries = {}, {}
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    local used = redis.call('ZCARD', key)
    for position = cursor + 3, cursor + 2 + count do
        local holder = ARGV[position]
        if verb == 'release' then
            used = used - redis.call('ZREM', key, holder)
        else
            local score = redis.call('ZSCORE', key, holder)
            if score or used < limit then
                if not score then used = used + 1 end
                redis.call('ZADD', key, 'GT', now + lease, holder)
                held[#held + 1] = holder
            end
        end
    end
    if #held > 0 and redis.call('PTTL', key) < lease then redis.call('PEXPIRE', key, lease) end
    local first, retry = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES'), 0
    if #first > 0 then retry = math.max(0, tonumber(first[2]) - now) end
    answer[i] = {held, used, retry}
    cursor = cursor + 3 + count
end
return answer
"""


def acquire(
    wishes: Iterable[tuple[ConcurrencyLimit, Collection[str]]], *, lease: float
) -> list[Slots]:
    """Give each holder a slot of its limit while there are any, first come first served.

    A holder that has one already keeps it, under the new lease if that is longer: repeating a call
    whose answer was lost does no harm.

    :param wishes: limits, each with ids of holders.
    :param lease: seconds after which a slot is free again.
    :raises broker.Unavailable: Redis does not answer; slots may be taken.
    """
    return _slots("acquire", wishes, lease)


def release(holdings: Iterable[tuple[ConcurrencyLimit, Collection[str]]]) -> list[Slots]:
    """Give slots back. One that is not held is no error.

    :raises broker.Unavailable: Redis does not answer; the leases will end.
    """
    return _slots("release", holdings, 0)


def holders(limit: ConcurrencyLimit) -> list[str]:
    """Return who has a slot, the end of whose lease is next first. Some leases may have ended.

    :raises broker.Unavailable: Redis does not answer.
    """
    held = cast(list[bytes], queues.connection().zrange(limit.key, 0, -1))
    return [holder.decode() for holder in held]


def _slots(
    verb: str, wishes: Iterable[tuple[ConcurrencyLimit, Collection[str]]], lease: float
) -> list[Slots]:
    keys: list[str] = []
    arguments: list[str | int] = [verb]
    for limit, holders in wishes:
        keys.append(limit.key)
        arguments += [limit.limit, max(1, round(lease * 1_000)), len(holders), *holders]
    if not keys:
        return []
    return [
        Slots(tuple(holder.decode() for holder in held), in_use, retry / 1_000)
        for held, in_use, retry in run(_SLOTS, keys, arguments)
    ]
