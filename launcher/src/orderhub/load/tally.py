"""What happened to the orders of a run, and whether it is what each of them had to come to. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

SETTLED: Final = frozenset({"CONFIRMED", "REJECTED", "CANCELLED", "ON_HOLD", "IN_DELIVERY", "COMPLETED"})
"""Settled, or further than that."""

GOING_ON: Final = frozenset({"CONFIRMED", "IN_DELIVERY", "COMPLETED"})
ENDS: Final[Mapping[str, frozenset[str]]] = {
    "happy": GOING_ON,
    "flaky": GOING_ON,
    "timeout": GOING_ON,
    "declined": frozenset({"REJECTED"}),
    "cancel": frozenset({"CANCELLED"}),
}
"""Kind of order → the states that it may end in."""

TOO_LATE: Final = "orders.too_late_to_cancel"
"""What an order says whose cancel was accepted, and then the courier was faster."""


@dataclass(slots=True)
class Placed:
    """One accepted order. `settled_after` is known of those that were waited for (seconds from the POST)."""

    id: str
    kind: str
    customer: int
    accepted_after: float
    settled_after: float | None = None
    status: str = ""
    reason: str = ""
    cancel_refused: bool = False


@dataclass(slots=True)
class Tally:
    """All that a run has seen."""

    placed: dict[str, Placed] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    retries: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    seconds_accepting: float = 0.0
    seconds_settling: float = 0.0

    def take_over(self, seen: Mapping[str, tuple[str, str]]) -> None:
        """Status and reason as a list of orders shows them."""
        for id, (status, reason) in seen.items():
            if id in self.placed:
                self.placed[id].status, self.placed[id].reason = status, reason

    def forget_statuses(self) -> None:
        for order in self.placed.values():
            order.status = ""

    def missing(self) -> list[Placed]:
        """Accepted, and no list shows them."""
        return [order for order in self.placed.values() if not order.status]

    def unsettled(self) -> list[Placed]:
        return [order for order in self.placed.values() if order.status and order.status not in SETTLED]

    def astray(self) -> list[Placed]:
        """Settled in a state that this kind of order must not come to."""
        return [o for o in self.placed.values() if o.status in SETTLED and o.status not in _ends(o)]

    def undelivered(self) -> list[Placed]:
        """What couriers have still to do."""
        return [o for o in self.placed.values() if o.status in ("CONFIRMED", "IN_DELIVERY")]

    @property
    def is_good(self) -> bool:
        return not (self.missing() or self.unsettled() or self.astray() or self.refused)


def _ends(order: Placed) -> frozenset[str]:
    """A cancel that came too late, told at once or only later, leaves the order on its way."""
    ends = ENDS[order.kind]
    return ends | GOING_ON if order.cancel_refused or order.reason == TOO_LATE else ends


def percentiles(seconds: Iterable[float]) -> tuple[float, float, float] | None:
    """p50, p95, p99 (nearest rank), None of nothing."""
    values = sorted(seconds)
    if not values:
        return None
    return tuple(values[min(len(values) - 1, int(len(values) * share))] for share in (0.5, 0.95, 0.99))  # type: ignore[return-value]


def rows(tally: Tally) -> list[list[str]]:
    """One line per kind of order, and one for all: accepted, states, accept and settle times in ms."""
    kinds = sorted({order.kind for order in tally.placed.values()})
    lines = [_row(kind, [o for o in tally.placed.values() if o.kind == kind]) for kind in kinds]
    return [*lines, _row("all", list(tally.placed.values()))] if len(kinds) != 1 else lines


COLUMNS: Final = ("orders", "accepted", "accept p50/p95/p99", "settle p50/p95/p99", "states")


def _row(name: str, orders: Sequence[Placed]) -> list[str]:
    states = Counter(order.status or "MISSING" for order in orders)
    shown = ", ".join(f"{count} {status}" for status, count in states.most_common())
    accept = percentiles(order.accepted_after for order in orders if order.settled_after is None)
    settle = percentiles(order.settled_after for order in orders if order.settled_after is not None)
    return [name, str(len(orders)), _ms(accept), _ms(settle), shown]


def _ms(times: tuple[float, float, float] | None) -> str:
    return "/".join(f"{time * 1000:.0f}" for time in times) + " ms" if times else "-"


def summary(tally: Tally) -> dict[str, object]:
    """The same for programs; times in seconds."""
    orders = list(tally.placed.values())
    accept = percentiles(o.accepted_after for o in orders if o.settled_after is None)
    settle = percentiles(o.settled_after for o in orders if o.settled_after is not None)
    return {
        "good": tally.is_good,
        "asked": tally.asked,
        "accepted": len(orders),
        "refused": dict(tally.refused),
        "retries": dict(tally.retries),
        "states": dict(Counter(o.status or "MISSING" for o in orders)),
        "kinds": dict(Counter(o.kind for o in orders)),
        "missing": [o.id for o in tally.missing()],
        "unsettled": [o.id for o in tally.unsettled()],
        "astray": [{"id": o.id, "kind": o.kind, "status": o.status} for o in tally.astray()],
        "accept_seconds": accept,
        "settle_seconds": settle,
        "seconds_accepting": tally.seconds_accepting,
        "seconds_settling": tally.seconds_settling,
        "accepted_per_second": _rate(len(orders), tally.seconds_accepting),
        "settled_per_second": _rate(len(orders), tally.seconds_settling),
    }


def _rate(count: int, seconds: float) -> float:
    return round(count / seconds, 1) if seconds else 0.0
