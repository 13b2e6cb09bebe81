"""The injected clock: production code asks it, and only it, what time it is."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    """UTC wall time for stored facts, monotonic seconds for durations.

    Leases, heartbeats and polls of the bus and the relay go by the event loop's own time: they deal with real
    processes, whatever clock a test has put in.
    """

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The machine's clock, moved by `offset` (the clock-jump tests set one)."""

    offset: timedelta = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass(slots=True)
class ManualClock:
    """Stands still until it is moved: for tests and simulations."""

    at: datetime = field(default_factory=lambda: datetime(2026, 1, 1, tzinfo=UTC))

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def advance(self, step: timedelta) -> None:
        self.at += step


@lru_cache(maxsize=1024)
def rfc3339(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds, e.g. `2026-01-01T00:00:00.000000Z`. All facts of a batch have one time."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"
