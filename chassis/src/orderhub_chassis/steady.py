"""The clock of a running service: the machine's, whose jumps are not believed until a server confirms them.

Deadlines, leases and tokens compare times that different processes have written. A machine whose clock is set an hour
ahead would end every lease and token at once, or keep them an hour too long. So a step against the clock that only
counts is taken out of the time at once; and every few seconds the service compares its time with its database's (the
gateway with Redis') and takes over what that says. Small differences and slow corrections are followed as they are.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from orderhub_chassis.clock import Clock, SystemClock
from orderhub_chassis.settings import CommonSettings, SettingsError
from orderhub_chassis.telemetry import log

TOLERANCE: Final = timedelta(seconds=1)
TOLERANCE_SECONDS: Final = TOLERANCE.total_seconds()
NOTHING: Final = timedelta(0)
LOOK_SECONDS: Final = 0.05


def _counted() -> float:
    """Seconds that only count, also while the machine sleeps where the system knows of that (Linux)."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class SteadyClock:
    """`source` is the clock of the machine. One per service."""

    def __init__(self, source: Clock, *, counted: Callable[[], float] = _counted) -> None:
        self._source = source
        self._counted = counted
        self._correction = NOTHING
        self._base = source.now().timestamp() - counted()

    def now(self) -> datetime:
        read = self._source.now()
        base = read.timestamp() - self._counted()
        step, self._base = base - self._base, base
        if abs(step) > TOLERANCE_SECONDS:
            self._correction -= timedelta(seconds=step)
            log("clock").warning("clock.stepped", seconds=round(step, 3))
        return read + self._correction if self._correction else read

    def monotonic(self) -> float:
        return self._source.monotonic()

    def agree(self, reference: datetime, asked_at: datetime) -> None:
        """A server said `reference` between `asked_at` (ours) and now; beyond the tolerance its time is taken over."""
        answered_at = self.now()
        if asked_at - TOLERANCE <= reference <= answered_at + TOLERANCE:
            return
        off = reference - (asked_at + (answered_at - asked_at) / 2)
        self._correction += off
        log("clock").warning("clock.set", seconds=off.total_seconds())


async def compare(clock: Clock, ask: Callable[[], Awaitable[datetime]]) -> None:
    """Ask a server for its time, where the clock is one that listens."""
    if isinstance(clock, SteadyClock):
        asked_at = clock.now()
        clock.agree(await ask(), asked_at)


class MovedClock:
    """The machine's clock, moved by the seconds in a file: how a test moves the clock of a running process."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._look_at = 0.0
        self._offset = timedelta(0)

    def now(self) -> datetime:
        if (at := time.monotonic()) >= self._look_at:
            self._look_at = at + LOOK_SECONDS
            self._offset = timedelta(seconds=float(self._file.read_text()))
        return datetime.now(UTC) + self._offset

    def monotonic(self) -> float:
        return time.monotonic()


def of(settings: CommonSettings) -> Clock:
    """The clock of a service. Raises SettingsError for a clock file that is not allowed or cannot be read."""
    if settings.clock_file is None:
        return SteadyClock(SystemClock())
    if not settings.allow_clock_file:
        raise SettingsError(
            "ORDERHUB_CLOCK_FILE: is for tests alone, and needs ORDERHUB_ALLOW_CLOCK_FILE=true"
        )
    try:
        return SteadyClock(MovedClock(settings.clock_file))
    except (OSError, ValueError) as error:
        raise SettingsError(f"ORDERHUB_CLOCK_FILE: {settings.clock_file}: {error}") from error
