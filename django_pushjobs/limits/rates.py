"""How often: rates that all processes share, kept by Redis and exact.

Each call of :func:`take` is one script and one round trip, however many limits it asks, and the
clock is that of Redis, so that hosts whose clocks differ agree. What to do without Redis is for the
caller to decide: it gets :exc:`broker.Unavailable`. A limit that is not used for a while leaves
nothing behind in Redis.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..broker.keys import key
from ..broker.scripts import run


@dataclass(frozen=True, slots=True)
class RateLimit:
    """So many tokens in so much time.

    As a rule tokens come back evenly: ``limit`` in every ``window``, and ``burst`` of them can be
    saved up. This is the generic cell rate algorithm (ITU-T I.371), seen as a leaky bucket: what
    was taken drains at ``limit / window``. So a client that was silent may take ``burst`` at once,
    and goes on at the even rate.

    With ``fixed`` they all come back together, when a new window begins. Windows are counted from
    the epoch, so one of 86,400 seconds is a day in UTC.

    :param name: which limit; limits of one name share their tokens.
    :param limit: tokens, above 0.
    :param window: seconds, above 0.
    :param burst: tokens at once, above 0; ``limit`` by default. Not for a fixed window.
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
        return key("rate", self.name)


@dataclass(frozen=True, slots=True)
class Take:
    """A wish for tokens of a limit. More than its capacity are never granted; 0 only asks how it
    stands; fewer give back what was taken before."""

    limit: RateLimit
    tokens: int = 1


@dataclass(frozen=True, slots=True)
class Grant:
    """What became of a :class:`Take`.

    :param allowed: the tokens were there, and were taken.
    :param remaining: whole tokens that are left now.
    :param reset_after: seconds until all tokens are back, if nobody takes any.
    :param retry_after: seconds until as many tokens as were wished are there, if nobody else takes
        any; 0 if allowed, infinite if the limit can never grant so many.
    """

    allowed: bool
    remaining: int
    reset_after: float
    retry_after: float


#: KEYS are limits; ARGV is five values for each of them: tokens wished, limit, window in
#: microseconds, capacity, whether the window is fixed. A limit is a hash of what was taken of it
#: and has not come back, and when that was so (in microseconds), or of which window that is.
_TAKE = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
-- Fractions of a token that are lost in the arithmetic; far below what anybody notices.
local tiny = 0.000001
local states, wishes = {}, {}

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
    local base = 1 + (i - 1) * 5
    local tokens = tonumber(ARGV[base])
    states[key] = states[key] or load(key, tonumber(ARGV[base + 1]), tonumber(ARGV[base + 2]),
        tonumber(ARGV[base + 3]), ARGV[base + 4] == '1')
    local state = states[key]
    local allowed = state.taken + tokens <= state.capacity + tiny
    if allowed then state.taken = math.max(0, state.taken + tokens) end
    wishes[i] = {state = state, tokens = tokens, allowed = allowed}
end

for key, state in pairs(states) do
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
    arguments: list[int] = []
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
        for allowed, remaining, reset, retry in run(
            _TAKE, [wish.limit.key for wish in wishes], arguments
        )
    ]
