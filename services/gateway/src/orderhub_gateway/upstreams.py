"""Calls to one peer, bounded: so many at once, none to one that is known to be away, a few repeated, all with an end."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

from orderhub_chassis.calls import Call, current_call
from orderhub_chassis.grpc.client import Peer, PeerAway, PeerLate
from orderhub_chassis.telemetry import log

from orderhub_gateway import metrics
from orderhub_gateway.errors import CircuitOpen, TimedOut, UpstreamBusy
from orderhub_gateway.guards import REFUSED, Breaker, Budget, Bulkhead, Circuit

READS: Final = ("Get", "List", "BatchGet", "Quote")
"""How the names of calls begin that change nothing."""
RESERVE: Final = 10.0
"""Repetitions that are allowed before any call has paid for them."""
SHORTEST_PAUSE: Final = 0.02
LONGEST_PAUSE: Final = 0.08
"""Seconds before a repetition: enough for gRPC to have left a lost replica out."""
FAIR: Final = 0.5
"""Of the usual time. Who was given less and is late has shown nothing: the request had used it up before."""

GIVEN_UP: Final = (asyncio.CancelledError, GeneratorExit)
OPEN_WORDS: Final = "its calls fail: the circuit is open, and one call at a time finds out whether it is back"

Tell = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Bounds:
    """`calls` and `waits` at once, `ratio` of repetitions; the rest is the breaker's. Times in seconds."""

    calls: int
    waits: int
    ratio: float
    failures: int
    window: float
    pause: float
    timeout: float


class Upstream:
    """One peer. `tell` hears what an operator should know of it, and empty words when that is over."""

    def __init__(
        self,
        name: str,
        peer: Peer,
        bounds: Bounds,
        tell: Tell,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.peer = peer
        self._tell = tell
        self._monotonic = monotonic
        self._fair = FAIR * bounds.timeout
        self._breaker = Breaker(failures=bounds.failures, window=bounds.window, pause=bounds.pause)
        self._budget = Budget(ratio=bounds.ratio, reserve=RESERVE)
        self._calls, self._waits = Bulkhead(bounds.calls), Bulkhead(bounds.waits)
        self._shown = Circuit.CLOSED
        metrics.UPSTREAM_CIRCUIT.labels(name).set(Circuit.CLOSED)
        metrics.UPSTREAM_CALLS.labels(name).set_function(lambda: self._calls.inside + self._waits.inside)

    async def call(
        self, method: Any, request: Any, *, call: Call | None = None, repeatable: bool = False, **options: Any
    ) -> Any:
        """Raises the peer's Failure, PeerAway, TimedOut, CircuitOpen or UpstreamBusy. Where the peer was away, what is
        `repeatable`, reads, and calls with an Idempotency-Key are made once more, if the budget has something left."""
        call = call or current_call.get()
        self._budget.called()
        try:
            with _Passage(self, self._calls):
                return await self.peer.call(method, request, call=call, **options)
        except PeerAway:
            if not ((repeatable or _repeatable(request, call)) and self._may_repeat()):
                raise
        await asyncio.sleep(random.uniform(SHORTEST_PAUSE, LONGEST_PAUSE))
        with _Passage(self, self._calls):
            return await self.peer.call(method, request, call=call, **options)

    async def wait(self, method: Any, request: Any, *, timeout: float) -> Any:
        """A call that is meant to take long, counted by itself: waits never keep calls from coming in."""
        with _Passage(self, self._waits):
            return await self.peer.call(method, request, timeout=timeout)

    async def stream(self, method: Any, request: Any, *, timeout: float) -> AsyncIterator[Any]:
        with _Passage(self, self._calls):
            async for item in self.peer.stream(method, request, timeout=timeout):
                yield item

    def enter(self) -> int:
        """Raises CircuitOpen."""
        turn = self._breaker.enter(now := self._monotonic())
        if turn == REFUSED:
            self._refused("circuit")
            raise CircuitOpen(max(1, math.ceil(self._breaker.wait(now))))
        if self._breaker.circuit is not self._shown:
            self._look()
        return turn

    def leave(self, turn: int, error: BaseException | None) -> None:
        self._breaker.leave(turn, self._monotonic(), answered=self._was_answered(error))
        if self._breaker.circuit is not self._shown:
            self._look()

    def busy(self) -> UpstreamBusy:
        self._refused("busy")
        return UpstreamBusy()

    def _was_answered(self, error: BaseException | None) -> bool | None:
        """A refusal is an answer, and so is a bug. A client that left has shown nothing."""
        if error is None:
            return True
        if isinstance(error, PeerAway):
            return False
        if isinstance(error, PeerLate):
            return False if error.waited >= self._fair else None
        return None if isinstance(error, GIVEN_UP) else True

    def _may_repeat(self) -> bool:
        """Not into an open circuit, and within the budget."""
        if self._breaker.circuit is not Circuit.CLOSED:
            return False
        allowed = self._budget.may_repeat()
        metrics.UPSTREAM_REPEATS.labels(self.name, "repeated" if allowed else "no_budget").inc()
        return allowed

    def _refused(self, why: str) -> None:
        metrics.UPSTREAM_REFUSED.labels(self.name, why).inc()

    def _look(self) -> None:
        """Log, metric and /readyz: the circuit is another one. A probe in between is for the metric alone."""
        circuit, shown = self._breaker.circuit, self._shown
        self._shown = circuit
        metrics.UPSTREAM_CIRCUIT.labels(self.name).set(circuit)
        if circuit is Circuit.CLOSED:
            self._tell(f"upstream {self.name}", "")
            log("gateway").info("gateway.circuit_closed", upstream=self.name)
        elif shown is Circuit.CLOSED:
            self._tell(f"upstream {self.name}", OPEN_WORDS)
            log("gateway").warning("gateway.circuit_open", upstream=self.name)


class _Passage:
    """`with` one call: into the room and through the circuit, and out of both."""

    __slots__ = ("_room", "_turn", "_upstream")

    def __init__(self, upstream: Upstream, room: Bulkhead) -> None:
        self._upstream = upstream
        self._room = room
        self._turn = REFUSED

    def __enter__(self) -> None:
        if not self._room.enter():
            raise self._upstream.busy()
        try:
            self._turn = self._upstream.enter()
        except BaseException:
            self._room.leave()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._room.leave()
        self._upstream.leave(self._turn, error)
        if kind is not None and isinstance(error, PeerLate):
            raise TimedOut from error


def _repeatable(request: Any, call: Call) -> bool:
    """Whether doing it twice does no more than doing it once. Only routes that keep to an Idempotency-Key give the
    call its fingerprint: a key that a client sent along with anything else promises nothing."""
    return bool(call.fingerprint) or type(request).__name__.startswith(READS)
