"""Rate limits: the generic cell rate algorithm (GCRA) in Redis, asked once per turn of the event loop for everybody.

What happens while Redis cannot be reached:

| routes | without Redis |
|---|---|
| reads, and all writes but those below | go on, under the same limits counted in this process alone |
| POST under `auth/` without a token, a change of password, POST under `payments/` but webhooks | 503 `gateway.limits_unavailable`: guessing passwords and refunds stay limited |

A busy client's tokens are taken from Redis a few at a time and handed out here (a lease of at most a second), so
that it pays the round trip once per handful of requests; unused ones are lost to it, never doubled.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec
from orderhub_chassis.batching import Batcher
from orderhub_chassis.telemetry import log
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from orderhub_gateway import metrics
from orderhub_gateway.errors import LimitsAway

PREFIX: Final = "orderhub:limit:"
REMEMBERED: Final = 50_000
LEASE_SECONDS: Final = 1.0
LARGEST_LEASE: Final = 16
PAUSE_SECONDS: Final = 1.0
REDIS_TIMEOUT: Final = 0.3

# Per key: microseconds between two tokens, burst, tokens wanted. A key holds the theoretical arrival time; it is
# gone when the bucket is full again. Redis's own clock, so that replicas need not agree on theirs.
SCRIPT: Final = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local answers = {}
for i, key in ipairs(KEYS) do
  local interval, burst, want = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local tat = math.max(tonumber(redis.call('GET', key) or now), now)
  local room = math.floor((now + burst * interval - tat) / interval)
  local taken = math.max(0, math.min(room, want))
  if taken > 0 then
    tat = tat + taken * interval
    redis.call('SET', key, string.format('%.0f', tat), 'PX', math.ceil((tat - now) / 1000) + 1)
  end
  local wait = taken > 0 and 0 or tat + interval - burst * interval - now
  answers[#answers + 1] = taken
  answers[#answers + 1] = room - taken
  answers[#answers + 1] = math.ceil(wait)
  answers[#answers + 1] = math.ceil(tat - now)
end
return answers
"""


@dataclass(frozen=True, slots=True)
class Policy:
    """`rate` tokens per second flow into a bucket of `burst`. `essential`: refused rather than uncounted."""

    name: str
    rate: float
    burst: int
    essential: bool = False
    header: bytes = field(init=False, default=b"")
    prefix: str = field(init=False, default="")

    def __post_init__(self) -> None:
        window = max(1, math.ceil(self.burst / self.rate))
        object.__setattr__(self, "header", f'"{self.name}";q={self.burst};w={window}'.encode())
        # A limit that was changed begins with full buckets; the old times mean nothing under the new rate.
        object.__setattr__(self, "prefix", f"{PREFIX}{self.name}:{self.rate:g}:{self.burst}:")

    @property
    def interval_us(self) -> float:
        return 1_000_000 / self.rate


class Verdict(NamedTuple):
    """`remaining` requests may follow now; the bucket is full again after `reset` seconds."""

    allowed: bool
    remaining: int
    reset: int
    retry_after: int = 0


@dataclass(slots=True)
class _Local:
    """What this process knows of one client: its lease, or until when it is refused."""

    lease: int = 0
    lease_until: float = 0.0
    last_lease: int = 0
    remaining: int = 0
    full_at: float = 0.0
    refused_until: float = 0.0
    # GCRA's theoretical arrival time, for when Redis is away.
    tat: float = 0.0


class _Question(msgspec.Struct, frozen=True):
    policy: Policy
    key: str
    want: int


def impatient(redis_url: str) -> Redis:
    """A client that gives up soon, and at once: what a request waits for Redis is bounded."""
    return Redis.from_url(
        redis_url,
        socket_timeout=REDIS_TIMEOUT,
        socket_connect_timeout=REDIS_TIMEOUT,
        retry=Retry(NoBackoff(), 0),
    )


class Limiter:
    """Counts per policy and key. One per gateway."""

    def __init__(self, redis_url: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._redis = impatient(redis_url)
        self._script: Any = self._redis.register_script(SCRIPT)
        self._monotonic = monotonic
        self._locals: OrderedDict[tuple[str, str], _Local] = OrderedDict()
        self._away_until = 0.0
        self._batcher: Batcher[_Question, Sequence[int]] = Batcher(self._ask, size=500)

    async def close(self) -> None:
        await self._redis.aclose()

    async def reach(self) -> None:
        """Raises what Redis' client raises while it cannot be used."""
        await self._redis.ping()

    async def time(self) -> datetime:
        """Redis' own."""
        seconds, microseconds = await self._redis.time()
        return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds)

    async def take(self, policy: Policy, key: str) -> Verdict:
        """One token. Raises LimitsAway for an essential policy while Redis cannot be asked."""
        now, local = self._monotonic(), self._local(policy, key)
        if local.lease > 0 and local.lease_until > now:
            local.lease -= 1
            return Verdict(True, local.remaining + local.lease, _seconds(local.full_at - now))
        if local.refused_until > now:
            return self._refused(policy, local, now)
        if self._away_until > now:
            return self._without_redis(policy, local, now)
        try:
            return await self._with_redis(policy, key, local)
        except (RedisError, OSError, TimeoutError) as error:
            self._went_away(error)
            return self._without_redis(policy, local, now)

    async def _with_redis(self, policy: Policy, key: str, local: _Local) -> Verdict:
        """A client that used its last lease up gets twice as many; one that let it lapse starts small again."""
        used_up = local.lease == 0 and local.lease_until > self._monotonic()
        want = min(local.last_lease * 2, LARGEST_LEASE, max(1, policy.burst // 4)) if used_up else 1
        taken, remaining, wait, full = await self._batcher.submit(_Question(policy, key, want))
        now = self._monotonic()
        local.last_lease, local.lease_until = max(1, taken), now + LEASE_SECONDS
        local.lease, local.remaining, local.full_at = max(0, taken - 1), remaining, now + full / 1e6
        if taken == 0:
            local.lease_until, local.refused_until = 0.0, now + wait / 1e6
            return self._refused(policy, local, now)
        return Verdict(True, remaining + taken - 1, _seconds(full / 1e6))

    async def _ask(self, questions: Sequence[_Question]) -> Sequence[Sequence[int]]:
        keys = [question.policy.prefix + question.key for question in questions]
        arguments: list[Any] = []
        for question in questions:
            arguments += (question.policy.interval_us, question.policy.burst, question.want)
        flat = await self._script(keys=keys, args=arguments)
        self._came_back()
        return [flat[i : i + 4] for i in range(0, len(flat), 4)]

    def _without_redis(self, policy: Policy, local: _Local, now: float) -> Verdict:
        if policy.essential:
            raise LimitsAway
        interval = 1 / policy.rate
        tat = max(local.tat, now)
        room = int((now + policy.burst * interval - tat) / interval)
        if room < 1:
            local.refused_until = tat + interval - policy.burst * interval
            return self._refused(policy, local, now)
        local.tat = tat + interval
        return Verdict(True, room - 1, _seconds(local.tat - now))

    def _refused(self, policy: Policy, local: _Local, now: float) -> Verdict:
        metrics.LIMITED.labels(policy.name).inc()
        wait = _seconds(local.refused_until - now)
        return Verdict(False, 0, max(wait, _seconds(local.full_at - now)), max(1, wait))

    def _local(self, policy: Policy, key: str) -> _Local:
        place = (policy.name, key)
        local = self._locals.get(place)
        if local is None:
            local = self._locals[place] = _Local()
            if len(self._locals) > REMEMBERED:
                self._locals.popitem(last=False)
        return local

    def _went_away(self, error: Exception) -> None:
        if self._away_until == 0:
            log("limits").warning("limits.redis_away", error=str(error))
        metrics.LIMITS_AWAY.set(1)
        metrics.LIMIT_CALLS.labels("failed").inc()
        self._away_until = self._monotonic() + PAUSE_SECONDS

    def _came_back(self) -> None:
        metrics.LIMIT_CALLS.labels("answered").inc()
        if self._away_until:
            self._away_until = 0.0
            metrics.LIMITS_AWAY.set(0)
            log("limits").info("limits.redis_back")


def _seconds(interval: float) -> int:
    return max(0, math.ceil(interval))
