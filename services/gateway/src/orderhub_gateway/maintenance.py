"""Maintenance: one switch for all replicas, turned by operators at run time. Changes are refused, reads go on.

The switch is a key in Redis that every replica reads twice a second. A Redis that lost it gets it again from the
replicas, which keep what they read last: neither its restart nor one of theirs lets anything through.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from orderhub_chassis.calls import Caller
from orderhub_chassis.telemetry import log
from redis.exceptions import RedisError

from orderhub_gateway import metrics
from orderhub_gateway.errors import MaintenanceAway, UnderMaintenance
from orderhub_gateway.limits import impatient

KEY: Final = "orderhub:maintenance"
POLL_SECONDS: Final = 0.4
"""With Redis' own time limit of 0.3 s a change is seen everywhere within a second."""
NOTE: Final = "maintenance"
PASSING: Final = frozenset(
    "/api/v1/" + name
    for name in ("auth/login", "auth/refresh", "auth/logout", "auth/mfa/verify", "deliveries/quote")
)
"""Whoever may read has to be able to log in, operators above all; and a quote changes nothing."""
READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class State(msgspec.Struct, frozen=True):
    """What stands in Redis. `changed_at` is RFC 3339, `changed_by` a user's id."""

    enabled: bool = False
    message: str = ""
    retry_after: Annotated[int, Meta(ge=1)] = 300
    changed_at: str = ""
    changed_by: str = ""


class Maintenance:
    """One per gateway. `tell` hears what an operator should know, and empty words when that is over."""

    def __init__(self, redis_url: str, tell: Callable[[str, str], None]) -> None:
        self._redis = impatient(redis_url)
        self._tell = tell
        self.state = State()

    async def close(self) -> None:
        await self._redis.aclose()

    def check(self, method: str, path: str, caller: Caller) -> None:
        """Raises UnderMaintenance for a change, unless an operator makes it."""
        state = self.state
        if not state.enabled or method in READS or path in PASSING or caller.has("operator"):
            return
        raise UnderMaintenance(state.message, state.retry_after)

    async def turn(self, state: State) -> None:
        """For all replicas. Raises MaintenanceAway."""
        try:
            await self._redis.set(KEY, msgspec.json.encode(state))
        except (RedisError, OSError, TimeoutError) as error:
            raise MaintenanceAway from error
        self._take(state)

    async def load(self) -> None:
        """Raises what Redis' client raises while it cannot be used."""
        found: Any = await self._redis.get(KEY)
        if found is not None:
            self._take(_decoded(found) or self.state)
        elif self.state.changed_at:
            # Only if nobody has turned it meanwhile.
            await self._redis.set(KEY, msgspec.json.encode(self.state), nx=True)

    async def watch(self) -> None:
        """For as long as the gateway runs."""
        while True:
            try:
                await self.load()
            except (RedisError, OSError, TimeoutError):
                # Said by whoever needs Redis; the switch stays as it was seen last.
                metrics.LIMIT_CALLS.labels("failed").inc()
            await asyncio.sleep(POLL_SECONDS)

    def _take(self, state: State) -> None:
        if state == self.state:
            return
        self.state = state
        metrics.MAINTENANCE.set(state.enabled)
        self._tell(NOTE, f"changes are refused: {state.message}" if state.enabled else "")
        log("gateway").warning(
            "gateway.maintenance", enabled=state.enabled, message=state.message, by=state.changed_by
        )


def _decoded(value: bytes) -> State | None:
    """None for what is no state: somebody else's doing, which neither closes nor opens anything."""
    try:
        return msgspec.json.decode(value, type=State)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        log("gateway").error("gateway.maintenance_unreadable", reason=str(error))
        return None
