"""Orders across all services: what each of them says of the same order has to fit.

All databases are read together, in the order of the order's id, and every check is a pure function over one order's
story. So a million orders take a while, and no memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from orderhub import topology
from orderhub.checks.model import Row, View, aligned

STREAMS: Final = {
    "order": ("orderhub_orders", "select id, status, total_minor, currency, payment_id, delivery_id from orders order by id"),
    "lines": (
        "orderhub_orders",
        "select order_id, line_no, product_id, quantity, animal_id from order_lines order by order_id, line_no",
    ),
    "payments": (
        "orderhub_payments",
        "select p.order_id, p.id, p.status, p.currency, p.captured_minor, p.refunded_minor, p.refund_pending_minor,"
        " p.provider,"
        " (select coalesce(sum(amount_minor), 0)::bigint from refunds r where r.payment_id = p.id"
        "   and r.requested_by = 'saga' and r.status <> 'failed') as granted_by_saga,"
        " exists (select from payment_intents i where i.payment_id = p.id and i.status in ('pending', 'waiting'))"
        "   as open from payments p order by p.order_id",
    ),
    "reservations": (
        "orderhub_inventory",
        "select order_id, line_no, product_id, animal_id, quantity, status from reservations order by order_id, line_no",
    ),
    "deliveries": (
        "orderhub_delivery", "select order_id, id, status, held from deliveries order by order_id, id"
    ),
    "decisions": ("orderhub_delivery", "select order_id, id from welfare_decisions order by order_id, id"),
    "provider": (
        "orderhub_simulator",
        "select reference::uuid, sum(captured_minor)::bigint as captured, sum(refunded_minor)::bigint as refunded"
        " from authorizations where reference ~ '^[0-9a-f-]{36}$' group by 1 order by 1",
    ),
    "standing_inventory": ("orderhub_inventory", "select order_id, epoch from saga_standings order by order_id"),
    "standing_payments": (
        "orderhub_payments",
        "select order_id, saga_epoch as epoch from payments union all select order_id, epoch from saga_standings s"
        " where not exists (select from payments p where p.order_id = s.order_id) order by order_id",
    ),
    "standing_delivery": ("orderhub_delivery", "select order_id, epoch from saga_standings order by order_id"),
}  # fmt: skip
"""Stream → (database, statement sorted by the order's id)."""

GOING_ON: Final = frozenset({"CONFIRMED", "IN_DELIVERY", "COMPLETED"})
UNDONE: Final = frozenset({"REJECTED", "CANCELLED"})
HOLDING: Final = frozenset({"RESERVED", "COMMITTED"})
ON_THE_WAY: Final = frozenset({"CREATED", "ASSIGNED", "IN_PROGRESS"})


@dataclass(frozen=True, slots=True)
class Story:
    """One order id and everything that any service keeps under it."""

    id: UUID
    rows: dict[str, list[Any]]

    @property
    def order(self) -> Any:
        """The order's row; None where orders does not know it."""
        return self.rows["order"][0] if self.rows["order"] else None

    @property
    def status(self) -> str:
        return str(self.order["status"]) if self.order else ""

    def __getitem__(self, stream: str) -> list[Any]:
        return self.rows[stream]


Judge = Callable[[Story], Iterable[Row]]


async def stories(view: View) -> AsyncIterator[Story]:
    """Every order id that any service knows."""
    streams = {name: view.stream(database, sql) for name, (database, sql) in STREAMS.items()}
    async for id, rows in aligned(streams):
        yield Story(id, rows)


def money_is_owed(story: Story) -> Iterator[Row]:
    """A running order has paid its total, less what a person gave back; an undone one has everything back."""
    if story.status in GOING_ON and not story["payments"]:
        yield {"order_id": story.id, "status": story.status, "payment": "none"}
    for payment in story["payments"]:
        granted = payment["refunded_minor"] + payment["refund_pending_minor"]
        kept = payment["captured_minor"] - granted
        owed = _owed(story, payment, granted)
        if owed is not None and kept != owed:
            yield {
                "order_id": story.id, "status": story.status, "payment_id": payment["id"],
                "captured": payment["captured_minor"], "granted_refunds": granted, "owed": owed,
            }  # fmt: skip


def _owed(story: Story, payment: Any, granted: int) -> int | None:
    """None while a saga is still at work on it."""
    if story.status in GOING_ON:
        by_people = granted - payment["granted_by_saga"]
        return int(story.order["total_minor"]) - by_people
    return 0 if story.status in UNDONE or story.status == "ON_HOLD" else None


def money_is_not_held(story: Story) -> Iterator[Row]:
    """An undone order holds nothing of its customer's card."""
    for payment in story["payments"]:
        if story.status in UNDONE and payment["status"] in ("PENDING", "AUTHORIZED"):
            yield {
                "order_id": story.id,
                "status": story.status,
                "payment_id": payment["id"],
                "payment": payment["status"],
            }


def payment_is_the_orders(story: Story) -> Iterator[Row]:
    """The payment that the order names is the one that payments has, in its currency."""
    named = story.order["payment_id"] if story.order else ""
    for payment in story["payments"]:
        if named and named != str(payment["id"]):
            yield {"order_id": story.id, "order_names": named, "payments_has": payment["id"]}
        elif story.order and payment["currency"] != story.order["currency"]:
            yield {
                "order_id": story.id,
                "currency": story.order["currency"],
                "payment_currency": payment["currency"],
            }
    if named and not story["payments"]:
        yield {"order_id": story.id, "order_names": named, "payments_has": "none"}


def provider_agrees(story: Story) -> Iterator[Row]:
    """Once nothing is under way, the simulator has taken and given back what we say; reconcile asks the others."""
    if any(payment["open"] or payment["provider"] != topology.SIMULATOR for payment in story["payments"]):
        return
    ours = _money(story["payments"], "captured_minor"), _money(story["payments"], "refunded_minor")
    theirs = _money(story["provider"], "captured"), _money(story["provider"], "refunded")
    if ours != theirs:
        yield {
            "order_id": story.id, "captured": ours[0], "refunded": ours[1],
            "provider_captured": theirs[0], "provider_refunded": theirs[1],
        }  # fmt: skip


def _money(rows: list[Any], column: str) -> int:
    return sum(row[column] for row in rows)


def stock_is_the_orders(story: Story) -> Iterator[Row]:
    """A running order's lines are sold to it, exactly; an undone one holds nothing."""
    if story.status in GOING_ON:
        wanted = {
            line["line_no"]: (line["product_id"], line["quantity"], line["animal_id"])
            for line in story["lines"]
        }
        sold = {
            r["line_no"]: (r["product_id"], r["quantity"], r["animal_id"])
            for r in story["reservations"]
            if r["status"] == "COMMITTED"
        }
        for line_no in sorted(
            line for line in wanted.keys() | sold.keys() if wanted.get(line) != sold.get(line)
        ):
            yield {
                "order_id": story.id, "status": story.status, "line_no": line_no,
                "ordered": _triple(wanted.get(line_no)), "sold": _triple(sold.get(line_no)),
            }  # fmt: skip
    elif story.status in UNDONE:
        for r in story["reservations"]:
            if r["status"] in HOLDING:
                yield {
                    "order_id": story.id,
                    "status": story.status,
                    "line_no": r["line_no"],
                    "holds": r["status"],
                }


def _triple(line: tuple[Any, ...] | None) -> str:
    return " ".join(str(part) for part in line if part is not None) if line else "nothing"


def delivery_is_the_orders(story: Story) -> Iterator[Row]:
    """A running order is booked and released, a completed one handed over, an undone one is not on its way."""
    states = [delivery["status"] for delivery in story["deliveries"]]
    wrong = (
        (story.status in GOING_ON and not states)
        or (story.status in GOING_ON and any(delivery["held"] for delivery in story["deliveries"]))
        or (story.status == "COMPLETED" and states.count("COMPLETED") != 1)
        or (story.status in UNDONE and bool(ON_THE_WAY & set(states)))
    )
    if wrong:
        held = any(delivery["held"] for delivery in story["deliveries"])
        yield {
            "order_id": story.id,
            "status": story.status,
            "deliveries": ", ".join(states) or "none",
            "held": held,
        }
    known = {str(delivery["id"]) for delivery in story["deliveries"]}
    if story.order and story.order["delivery_id"] and story.order["delivery_id"] not in known:
        yield {
            "order_id": story.id,
            "order_names": story.order["delivery_id"],
            "delivery_has": ", ".join(known) or "none",
        }


def nobody_is_orphaned(story: Story) -> Iterator[Row]:
    """Whatever a service keeps for an order, orders knows that order."""
    if story.order is None:
        kept = [name for name, rows in story.rows.items() if rows]
        yield {"order_id": story.id, "kept_by": ", ".join(kept)}


JUDGES: Final[tuple[tuple[str, str, Judge], ...]] = (
    ("money.owed", "captured less granted refunds is what the order owes", money_is_owed),
    ("money.held", "an undone order holds nothing of a card", money_is_not_held),
    ("money.payment", "an order and payments name the same payment", payment_is_the_orders),
    ("money.provider", "the provider has taken and given back what payments says", provider_agrees),
    (
        "stock.order",
        "a running order's lines are sold to it, an undone one holds nothing",
        stock_is_the_orders,
    ),
    ("delivery.order", "an order and its deliveries fit", delivery_is_the_orders),
    ("orphans.order", "what a service keeps for an order belongs to an order", nobody_is_orphaned),
)
"""Name, sentence, judge."""
