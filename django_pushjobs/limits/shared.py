"""How much at most: limits that all processes share, kept by Redis and exact.

Two kinds. A *rate* says how often: :class:`RateLimit` with :func:`take` and :func:`take_all`. A
*concurrency* says how many at a time: :class:`ConcurrencyLimit` with :func:`acquire`, :func:`renew`
and :func:`release`. Each call is one script and one round trip, however many limits it asks, and
the clock is that of Redis, so that hosts whose clocks differ agree.

What to do without Redis is for the caller to decide: every function here raises ``Unavailable``.
A limit that is not asked for a while leaves nothing behind in Redis. Needs Redis 6.2 or Valkey.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ..broker import queues

__all__ = [
    "ConcurrencyLimit",
    "Grant",
    "RateLimit",
    "Slots",
    "Take",
    "acquire",
    "holders",
    "release",
    "renew",
    "take",
    "take_all",
]

_PREFIX = "pushjobs:limit"


# --- How often. -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RateLimit:
    """So many tokens in so much time.

    As a rule tokens come back evenly: ``limit`` in every ``window``, and ``burst`` of them can be
    saved up. This is the generic cell rate algorithm (ITU-T I.371), told as a leaky bucket: what
    was taken drains at ``limit / window``. So a client that was silent may take ``burst`` at once,
    and goes on at the even rate.

    With ``fixed`` they all come back together, when a new window begins. Windows are counted from
    the epoch, so one of 86,400 seconds is a day in UTC.

    :param name: which limit; limits of one name share their tokens.
    :param limit: tokens, above 0.
    :param window: seconds, above 0.
    :param burst: tokens at once, above 0; ``limit`` where not given. Not for a fixed window.
    """

    name: str
    limit: int
    window: float
    burst: int | None = None
    fixed: bool = False

    def __post_init__(self) -> None:
        if self.limit < 1 or self.window <= 0 or self.capacity < 1:
            raise ValueError(f"{self}: limit, window and burst must be above 0")
        if self.fixed and self.burst is not None:
            raise ValueError(f"{self}: a fixed window has no burst")

    @property
    def capacity(self) -> int:
        """The most tokens that can be taken at once."""
        return self.limit if self.burst is None else self.burst

    @property
    def key(self) -> str:
        return f"{_PREFIX}:rate:{self.name}"


@dataclass(frozen=True, slots=True)
class Take:
    """A wish for tokens of a limit. More than its capacity are never granted; 0 only asks how it
    stands; fewer give back what was taken before."""

    limit: RateLimit
    tokens: int = 1


@dataclass(frozen=True, slots=True)
class Grant:
    """What became of a :class:`Take`.

    :param allowed: the tokens were there and, unless :func:`take_all` found another limit
        exhausted, were taken.
    :param remaining: whole tokens that are left now.
    :param reset_after: seconds until all tokens are back, if nobody takes any.
    :param retry_after: seconds until as many tokens as were wished are there, if nobody else takes
        any; 0 where allowed, infinite where the limit can never grant so many.
    """

    allowed: bool
    remaining: int
    reset_after: float
    retry_after: float


#: KEYS are limits; ARGV is whether all or none shall be taken, then five values for each limit:
#: tokens wished, limit, window in microseconds, capacity, whether the window is fixed.
#: A limit is a hash of what was taken of it and has not come back, and when that was so (in
#: microseconds), or of which window that is.
_TAKE = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local together = ARGV[1] == '1'
-- Fractions of a token that are lost in the arithmetic; far below what anybody notices.
local tiny = 0.000001
local states, wishes, all = {}, {}, true

local function load(key, limit, window, capacity, fixed)
    local kept = redis.call('HMGET', key, 'taken', 'at')
    local taken, at = tonumber(kept[1] or '0'), tonumber(kept[2] or '0')
    local state = {limit = limit, window = window, capacity = capacity, fixed = fixed}
    if fixed then
        state.at = math.floor(now / window)
        if at ~= state.at then taken = 0 end
    else
        -- A clock that was set back gives nothing back.
        state.at = math.max(now, at)
        taken = math.max(0, taken - (state.at - at) * limit / window)
    end
    state.before, state.taken = taken, taken
    return state
end

-- One limit may be asked several times in one call.
for i, key in ipairs(KEYS) do
    local base = 2 + (i - 1) * 5
    local tokens = tonumber(ARGV[base])
    states[key] = states[key] or load(key, tonumber(ARGV[base + 1]), tonumber(ARGV[base + 2]),
        tonumber(ARGV[base + 3]), ARGV[base + 4] == '1')
    local state = states[key]
    local allowed = state.taken + tokens <= state.capacity + tiny
    if allowed then state.taken = math.max(0, state.taken + tokens) end
    all = all and allowed
    wishes[i] = {state = state, tokens = tokens, allowed = allowed}
end

for key, state in pairs(states) do
    if together and not all then state.taken = state.before end
    if state.taken ~= state.before then
        redis.call('HSET', key, 'taken', string.format('%.17g', state.taken),
            'at', string.format('%.0f', state.at))
        -- Until all is back, at the latest.
        local full = math.max(1, state.taken / state.limit) * state.window
        redis.call('PEXPIRE', key, math.ceil(full / 1000) + 1000)
    end
end

local answer = {}
for i, wish in ipairs(wishes) do
    local state, reset, retry = wish.state, 0, 0
    local pace = state.window / state.limit
    if state.fixed then
        local rest = (state.at + 1) * state.window - now
        if state.taken > 0 then reset = rest end
        if not wish.allowed then retry = rest end
    else
        reset = state.taken * pace
        if not wish.allowed then
            retry = (state.taken + wish.tokens - state.capacity) * pace
        end
    end
    if wish.tokens > state.capacity then retry = -1 end
    local left = math.floor(state.capacity - state.taken + tiny)
    answer[i] = {wish.allowed and 1 or 0, math.max(0, left), math.ceil(reset), math.ceil(retry)}
end
return answer
"""


def take(*wishes: Take) -> list[Grant]:
    """Take tokens, each wish for itself; return what became of them, in order.

    :raises broker.Unavailable: Redis does not answer; tokens may be gone.
    """
    return _take(wishes, together=False)


def take_all(*wishes: Take) -> list[Grant]:
    """Take all that is wished, or nothing where one of the limits has too little left.

    Then ``allowed`` says of each limit whether it would have granted its part.

    :raises broker.Unavailable: Redis does not answer; tokens may be gone.
    """
    return _take(wishes, together=True)


def _take(wishes: Sequence[Take], *, together: bool) -> list[Grant]:
    if not wishes:
        return []
    keys = [wish.limit.key for wish in wishes]
    arguments: list[int] = [int(together)]
    for wish in wishes:
        limit = wish.limit
        window = max(1, round(limit.window * 1_000_000))
        arguments += [wish.tokens, limit.limit, window, limit.capacity, int(limit.fixed)]
    return [
        Grant(
            bool(allowed),
            int(remaining),
            reset / 1_000_000,
            float("inf") if retry < 0 else retry / 1_000_000,
        )
        for allowed, remaining, reset, retry in _run(_TAKE, keys, arguments)
    ]


# --- How many at a time. ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConcurrencyLimit:
    """So many holders at a time: a semaphore whose slots are leased.

    A holder that does not renew its lease, because it died, loses its slot when the lease ends.

    :param name: which limit; limits of one name share their slots.
    :param limit: slots; 0 lets nobody in.
    """

    name: str
    limit: int

    @property
    def key(self) -> str:
        return f"{_PREFIX}:slots:{self.name}"


@dataclass(frozen=True, slots=True)
class Slots:
    """What became of a wish for slots.

    :param held: the holders that have a slot now, of those that were named, in their order.
    :param in_use: slots that are taken now, by whomever.
    :param retry_after: seconds until the first lease ends, unless it is renewed or its slot is
        released before; 0 where no slot is taken.
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
            if score or (verb == 'acquire' and used < limit) then
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


def renew(
    holdings: Iterable[tuple[ConcurrencyLimit, Collection[str]]], *, lease: float
) -> list[Slots]:
    """Prolong leases to ``lease`` seconds from now. A holder whose lease had ended already is not
    among those that are returned as ``held``, and has to acquire again.

    :raises broker.Unavailable: Redis does not answer.
    """
    return _slots("renew", holdings, lease)


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
        for held, in_use, retry in _run(_SLOTS, keys, arguments)
    ]


def _run(script: str, keys: Sequence[str], arguments: Sequence[str | int]) -> list[Any]:
    # Named by its hash, and sent only where Redis has never seen it.
    run = queues.connection().register_script(script)
    return cast(list[Any], run(keys=keys, args=arguments))
