"""What stands between the gateway and a peer that is slow or away: pure state, the time is passed in.

`Breaker` stops calls that would fail, `Budget` keeps repetitions from adding to an outage, `Bulkhead` bounds how much of
the gateway one peer can hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

REFUSED: Final = -1
HALF: Final = 0.5
"""Of the calls that ended within the window, the share that has to have failed."""


class Circuit(IntEnum):
    """The number is what the metric shows."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


@dataclass(slots=True)
class _Count:
    ended: int = 0
    failed: int = 0


class Breaker:
    """Opens when `failures` calls or more, and half of all, failed within the last `window` seconds.

    After `pause` seconds one call is let through. The circuit closes when that one is answered, and opens again when
    it fails; all others are refused meanwhile. What began under an earlier state says nothing about this one.
    """

    def __init__(self, *, failures: int, window: float, pause: float) -> None:
        self._failures = failures
        self._half = window / 2
        self._pause = pause
        self._turn = 0
        self._opened_at = 0.0
        self._counted_since = 0.0
        self._before, self._now = _Count(), _Count()
        self.circuit = Circuit.CLOSED

    def enter(self, now: float) -> int:
        """What `leave` needs to be given, or REFUSED."""
        if self.circuit is Circuit.CLOSED:
            return self._turn
        if self.circuit is Circuit.HALF_OPEN or self.wait(now) > 0:
            return REFUSED
        self._become(Circuit.HALF_OPEN)
        return self._turn

    def leave(self, turn: int, now: float, *, answered: bool | None) -> None:
        """`answered` is None for a call that was given up for no fault of the peer."""
        if turn != self._turn:
            return
        if self.circuit is Circuit.HALF_OPEN:
            self._probed(now, answered)
        elif answered is not None:
            self._count(now, answered)

    def wait(self, now: float) -> float:
        """Seconds until a call may be let through again; the probe's own time is not known."""
        return self._opened_at + self._pause - now if self.circuit is not Circuit.CLOSED else 0.0

    def _probed(self, now: float, answered: bool | None) -> None:
        if answered:
            self._before, self._now = _Count(), _Count()
            self._become(Circuit.CLOSED)
        else:
            # A probe that nobody waited for has shown nothing: the next call may be one at once.
            self._opened_at = now if answered is False else now - self._pause
            self._become(Circuit.OPEN)

    def _count(self, now: float, answered: bool) -> None:
        self._move_on(now)
        count, before = self._now, self._before
        count.ended += 1
        if answered:
            return
        count.failed += 1
        failed, ended = count.failed + before.failed, count.ended + before.ended
        if failed >= self._failures and failed >= HALF * ended:
            self._opened_at = now
            self._become(Circuit.OPEN)

    def _move_on(self, now: float) -> None:
        """Two halves of the window: the older one is forgotten as a whole."""
        passed = now - self._counted_since
        if passed < self._half:
            return
        self._before = self._now if passed < 2 * self._half else _Count()
        self._now, self._counted_since = _Count(), now

    def _become(self, circuit: Circuit) -> None:
        self.circuit = circuit
        self._turn += 1


class Budget:
    """A token bucket that calls fill and repetitions empty: `ratio` of a token for each call, `reserve` at most.

    After gRFC A6 and Finagle's RetryBudget: in an outage repetitions add `ratio` to the load, and not their number.
    """

    def __init__(self, *, ratio: float, reserve: float) -> None:
        self._ratio = ratio
        self._reserve = reserve if ratio else 0.0
        self._tokens = self._reserve

    def called(self) -> None:
        self._tokens = min(self._reserve, self._tokens + self._ratio)

    def may_repeat(self) -> bool:
        """Takes the token."""
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Bulkhead:
    """At most `limit` inside. Nobody waits at its door: waiting is what it is there to bound."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.inside = 0

    def enter(self) -> bool:
        if self.inside >= self._limit:
            return False
        self.inside += 1
        return True

    def leave(self) -> None:
        self.inside -= 1
