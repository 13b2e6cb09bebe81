"""Both sagas as tables. The engine moves along them; what a step asks and what its answer means stands here."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from orderhub_chassis import ids
from orderhub_contracts.common.v1.common_pb2 import Address, Money
from orderhub_contracts.delivery.v1 import commands_pb2 as delivery
from orderhub_contracts.inventory.v1 import commands_pb2 as inventory
from orderhub_contracts.orders.v1.replies_pb2 import OUTCOME_FAILED, SagaReply
from orderhub_contracts.payments.v1 import commands_pb2 as payments

from orderhub_orders.engine import Definition, Run, Step
from orderhub_orders.model import Line, Order, Status

HOLD: Final = timedelta(hours=24)
PLACE_TIME: Final = timedelta(minutes=10)


def plan_delivery(order: Order) -> delivery.PlanDelivery:
    lines = [
        delivery.PlanLine(line_no=x.line_no, kind=x.kind, quantity=x.quantity, candidates=x.candidates)
        for x in order.lines
    ]
    return delivery.PlanDelivery(
        order_id=str(order.id),
        vendor_id=str(order.vendor_id),
        pickup=Address.FromString(order.pickup),
        ship_to=Address.FromString(order.ship_to),
        lines=lines,
    )


def has_animals(order: Order) -> bool:
    """Goods alone have no plan that could be refused or held: the rules are about animals."""
    return any(line.kind != "good" for line in order.lines)


def planned(order: Order, reply: SagaReply) -> None:
    allowed = {a.line_no: [ids.parse(i) for i in a.animal_ids] for a in reply.delivery_planned.allowed}
    for line in order.lines:
        if line.line_no in allowed:
            line.allowed_animals, line.changed = allowed[line.line_no], True


def reserve_stock(order: Order) -> inventory.ReserveStock:
    lines = [
        inventory.ReserveLine(
            line_no=x.line_no, product_id=str(x.product_id), quantity=x.quantity,
            unit_price=Money(amount_minor=x.unit_price_minor, currency=order.currency),
            animal_ids=[str(i) for i in x.allowed_animals or ()],
        )
        for x in order.lines
    ]  # fmt: skip
    return inventory.ReserveStock(order_id=str(order.id), vendor_id=str(order.vendor_id), lines=lines)


def reserved(order: Order, reply: SagaReply) -> None:
    taken = {x.line_no: x.animal_id for x in reply.stock_reserved.lines if x.animal_id}
    for line in order.lines:
        if line.line_no in taken:
            _take_animal(line, taken[line.line_no])
    order.record("stock.reserved", "Stock is reserved", service="inventory")


def _take_animal(line: Line, animal_id: str) -> None:
    facts = next((f for f in line.candidates if f.animal_id == animal_id), None)
    line.animal_id, line.changed = ids.parse(animal_id), True
    if facts is not None:
        line.animal_species = facts.species
        line.animal_born_on = date.fromisoformat(facts.born_on) if facts.born_on else None


def release_stock(order: Order) -> inventory.ReleaseStock:
    """Before pick-up things go back on sale; animals that have travelled wait in quarantine."""
    quarantine = inventory.DISPOSITION_QUARANTINE
    disposition = quarantine if order.picked_up else inventory.DISPOSITION_RESTOCK
    return inventory.ReleaseStock(order_id=str(order.id), disposition=disposition)


def released_or_reserved(order: Order, reply: SagaReply) -> None:
    if reply.HasField("stock_reserved"):
        reserved(order, reply)
    elif reply.HasField("stock_released"):
        stock_released(order, reply)


def stock_released(order: Order, reply: SagaReply) -> None:
    if reply.stock_released.disposition:
        order.record(
            "stock.released", "Stock is released", reply.stock_released.disposition, service="inventory"
        )


def authorize_payment(order: Order) -> payments.AuthorizePayment:
    return payments.AuthorizePayment(
        order_id=str(order.id), customer_id=order.customer_id, vendor_id=str(order.vendor_id),
        amount=Money(amount_minor=order.total_minor, currency=order.currency), token=order.payment_token,
    )  # fmt: skip


PAYMENT_TITLES: Final = {
    "AUTHORIZED": "The payment is authorized",
    "CAPTURED": "The payment is captured",
    "VOIDED": "The authorization is void",
    "PARTIALLY_REFUNDED": "A part of the payment is refunded",
    "REFUNDED": "The payment is refunded",
    "DECLINED": "The payment was declined",
    "FAILED": "The payment failed",
}


def hear(order: Order, reply: SagaReply) -> None:
    """What a reply tells of the payment or the delivery, whichever step it answers and however late it comes.

    The reason of a failure is that of the state; the reason of a refusal is only the command's.
    """
    detail = reply.reason.message if reply.outcome == OUTCOME_FAILED else ""
    if reply.HasField("payment"):
        p = reply.payment
        hear_payment(order, p.payment_id, p.status, p.version, detail)
    elif reply.HasField("delivery"):
        d = reply.delivery
        hear_delivery(order, d.delivery_id, d.status, d.version, picked_up=d.picked_up, detail=detail)


def hear_payment(order: Order, payment_id: str, status: str, version: int, detail: str = "") -> None:
    """News go into the history; what was heard before changes nothing."""
    before = order.payment_status
    news = order.payment_is(payment_id, status, version)
    if news and status != before and status in PAYMENT_TITLES:
        order.record(f"payment.{status.lower()}", PAYMENT_TITLES[status], detail, service="payments")


def capture_payment(order: Order) -> payments.CapturePayment:
    return payments.CapturePayment(order_id=str(order.id))


def reverse_payment(order: Order) -> payments.ReversePayment:
    return payments.ReversePayment(order_id=str(order.id), reason=order.cancel_reason or "order rejected")


DELIVERY_TITLES: Final = {
    "CREATED": "A delivery is planned",
    "ASSIGNED": "A courier has the delivery",
    "IN_PROGRESS": "The goods are on their way",
    "COMPLETED": "The goods are handed over",
    "FAILED": "The delivery failed",
    "RETURNING": "The goods are on their way back",
    "RETURNED": "The goods are back",
    "CANCELLED": "The delivery is cancelled",
}


def hear_delivery(
    order: Order, delivery_id: str, status: str, version: int, *, picked_up: bool, detail: str = ""
) -> bool:
    """True when it is news to this order."""
    before = order.delivery_status if delivery_id == order.delivery_id else ""
    news = bool(delivery_id) and order.delivery_is(delivery_id, status, version, picked_up=picked_up)
    if news and status != before:
        order.record(
            f"delivery.{status.lower()}", DELIVERY_TITLES.get(status, status), detail, service="delivery"
        )
    return news


def book_delivery(order: Order) -> delivery.BookDelivery:
    goods = ", ".join(f"{line.quantity} × {line.title}" for line in order.lines)
    return delivery.BookDelivery(
        order_id=str(order.id), vendor_id=str(order.vendor_id), customer_id=order.customer_id,
        pickup=Address.FromString(order.pickup), ship_to=Address.FromString(order.ship_to), description=goods[:500],
    )  # fmt: skip


def cancel_booking(order: Order) -> delivery.CancelBooking:
    return delivery.CancelBooking(order_id=str(order.id))


def commit_stock(order: Order) -> inventory.CommitStock:
    return inventory.CommitStock(order_id=str(order.id))


def release_delivery(order: Order) -> delivery.ReleaseDelivery:
    return delivery.ReleaseDelivery(order_id=str(order.id))


def stop_delivery(order: Order) -> delivery.StopDelivery:
    return delivery.StopDelivery(order_id=str(order.id), reason=order.cancel_reason or "")


def confirmed(order: Order, run: Run) -> None:
    """A cancel that came after the capture was sent keeps CANCELLING on the outside; its saga follows."""
    if order.status is Status.CANCELLING:
        order.former_status = Status.CONFIRMED
        order.record("order.placed_in_full", "The order went through before it could be cancelled")
    else:
        order.move(Status.CONFIRMED, "order.confirmed", "The order is confirmed")


def placing_undone(order: Order, run: Run) -> None:
    order.reason = run.reason
    detail = run.reason.message
    if order.status is Status.CANCELLING:
        order.give_reason("orders.cancelled", order.cancel_reason or "")
        order.move(Status.CANCELLED, "order.cancelled", "The order is cancelled", order.cancel_reason or "")
    else:
        order.move(Status.REJECTED, "order.rejected", "The order is rejected", detail)


def put_on_hold(order: Order, run: Run) -> None:
    if order.status is Status.PENDING:
        order.reason = run.reason
        order.move(Status.ON_HOLD, "order.held", "The order is on hold", run.reason.message)


def taken_off_hold(order: Order, run: Run) -> None:
    order.give_reason("", "")
    order.move(Status.PENDING, "order.released", "An operator released the order")


def cancelled(order: Order, run: Run) -> None:
    order.give_reason("orders.cancelled", order.cancel_reason or "")
    order.move(Status.CANCELLED, "order.cancelled", "The order is cancelled", order.cancel_reason or "")


def too_late(order: Order, run: Run) -> None:
    """The courier was faster: the order goes on as if nobody had asked, and says so."""
    order.give_reason("orders.too_late_to_cancel", "The courier had picked the goods up already.")
    back = Status(order.former_status or Status.CONFIRMED)
    if order.picked_up and back is Status.CONFIRMED:
        back = Status.IN_DELIVERY
    if order.delivery_status == "COMPLETED":
        back = Status.COMPLETED
    order.move(back, "order.too_late_to_cancel", "It was too late to cancel the order")


def never_held(order: Order, run: Run) -> None:
    raise AssertionError(f"{run.definition} has no step that may hold")


PLACE: Final[Definition[Order]] = Definition(
    name="place_order",
    version=1,
    steps=(
        Step("plan", plan_delivery, planned, needed=has_animals),
        Step("reserve", reserve_stock, released_or_reserved, compensation=release_stock),
        Step("authorize", authorize_payment, compensation=reverse_payment, timeout=timedelta(seconds=15)),
        Step("book", book_delivery, compensation=cancel_booking),
        Step("capture", capture_payment, timeout=timedelta(seconds=15), pivot=True),
        Step("commit", commit_stock),
        Step("release", release_delivery),
    ),
    timeout=PLACE_TIME,
    hold_timeout=HOLD,
    finished=confirmed,
    undone=placing_undone,
    held=put_on_hold,
    resumed=taken_off_hold,
)

CANCEL: Final[Definition[Order]] = Definition(
    name="cancel_order",
    version=1,
    steps=(
        Step("stop", stop_delivery, pivot=True),
        Step("reverse", reverse_payment, timeout=timedelta(seconds=15)),
        Step("release", release_stock, stock_released),
    ),
    timeout=PLACE_TIME,
    hold_timeout=HOLD,
    finished=cancelled,
    undone=too_late,
    held=never_held,
    resumed=never_held,
)

DEFINITIONS: Final = {(d.name, d.version): d for d in (PLACE, CANCEL)}
