"""Decisions over loaded orders: pure, message by message. What a saga step means stands in sagas.py."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from orderhub_chassis import ids
from orderhub_chassis.consumer import Context
from orderhub_chassis.ids import NewId
from orderhub_chassis.messages import Envelope, Outgoing
from orderhub_chassis.telemetry import trace_id
from orderhub_contracts.common.v1.common_pb2 import Reason
from orderhub_contracts.events.v1.records_pb2 import SagaRef
from orderhub_contracts.inventory.v1.commands_pb2 import DISPOSITION_RESTOCK, ExtendReservation, ReleaseStock

from orderhub_orders import engine, sagas
from orderhub_orders.engine import Run, State
from orderhub_orders.errors import NotCancellable, NotOnHold, TooLateToCancel, WrongSagaState
from orderhub_orders.model import Order, Status
from orderhub_orders.store import Answered, Loaded

FAILED_DELIVERY = frozenset({"FAILED", "RETURNING", "RETURNED"})


def definition_of(run: Run) -> engine.Definition[Order]:
    return sagas.DEFINITIONS[run.definition, run.version]


def on_saga_reply(loaded: Loaded, envelope: Envelope, context: Context) -> Iterable[Outgoing]:
    """The participant's answer to the step under way; of a late one only what it tells of payment and delivery counts."""
    reply = envelope.payload
    order = loaded.orders.get(ids.parse(reply.order_id))
    if order is None:
        return []
    _trace(order, envelope)
    sagas.hear(order, reply)
    outgoing: list[Outgoing] = []
    if found := _run_of(loaded, envelope):
        run, saga = found
        definition = definition_of(run)
        if engine.awaits(run, saga):
            seconds = (context.now - run.moved_at).total_seconds()
            loaded.answered.append(Answered(definition.name, definition.steps[run.step].name, seconds))
        outgoing = engine.on_reply(definition, run, order, saga, reply, now=context.now)
    return [*outgoing, *follow_up(loaded, order, now=context.now, new_id=context.new_id)]


def on_command_dead_lettered(loaded: Loaded, envelope: Envelope, context: Context) -> Iterable[Outgoing]:
    found = _run_of(loaded, envelope)
    if found is None:
        return []
    run, saga = found
    order = loaded.orders[run.subject_id]
    reason = f"{envelope.payload.consumer} gave the command up: {envelope.payload.reason}"
    outgoing = engine.dead_lettered(definition_of(run), run, order, saga, reason, now=context.now)
    return [*outgoing, *follow_up(loaded, order, now=context.now, new_id=context.new_id)]


def _run_of(loaded: Loaded, envelope: Envelope) -> tuple[Run, SagaRef] | None:
    """None for an answer to what no live run has asked, such as inventory's own question led to."""
    saga = envelope.saga
    run = loaded.runs.get(ids.parse(saga.run_id)) if saga and saga.run_id else None
    return None if saga is None or run is None else (run, saga)


def _trace(order: Order, envelope: Envelope) -> None:
    if not order.trace_id:
        order.trace_id = trace_id(envelope.record.traceparent)


def on_payment_changed(loaded: Loaded, envelope: Envelope, context: Context) -> Iterable[Outgoing]:
    order = loaded.orders.get(ids.parse(envelope.payload.order_id))
    if order is not None:
        p = envelope.payload
        sagas.hear_payment(order, p.payment_id, p.status, p.version, p.detail)
    return []


def on_delivery_changed(loaded: Loaded, envelope: Envelope, context: Context) -> Iterable[Outgoing]:
    d = envelope.payload
    order = loaded.orders.get(ids.parse(d.order_id))
    if order is None:
        return []
    sagas.hear_delivery(order, d.delivery_id, d.status, d.version, picked_up=d.picked_up, detail=d.detail)
    return follow_up(loaded, order, now=context.now, new_id=context.new_id)


def follow_up(loaded: Loaded, order: Order, *, now: datetime, new_id: NewId) -> list[Outgoing]:
    """What follows from the order as it stands, in whatever order replies and events came."""
    run = loaded.live.get(order.id)
    if run is not None and not run.over:
        return []
    if order.status is Status.CANCELLING:
        return _start_cancel(loaded, order, now=now, new_id=new_id)
    if order.status is Status.CONFIRMED and order.delivery_status in ("IN_PROGRESS", "COMPLETED"):
        order.move(Status.IN_DELIVERY, "order.in_delivery", "The order is on its way")
    if order.status is Status.IN_DELIVERY and order.delivery_status == "COMPLETED":
        order.move(Status.COMPLETED, "order.completed", "The order is completed")
    if order.status in (Status.CONFIRMED, Status.IN_DELIVERY) and order.delivery_status in FAILED_DELIVERY:
        return cancel(loaded, order, "delivery failed", now=now, new_id=new_id)
    return []


def cancel(loaded: Loaded, order: Order, reason: str, *, now: datetime, new_id: NewId) -> list[Outgoing]:
    """A cancel of a live order; of one that is already being cancelled it changes nothing.

    Raises TooLateToCancel once the courier has the goods, NotCancellable for what ended otherwise.
    """
    if order.status in (Status.CANCELLING, Status.CANCELLED):
        return []
    if order.status is Status.COMPLETED or (
        order.status is Status.IN_DELIVERY and order.delivery_status not in FAILED_DELIVERY
    ):
        raise TooLateToCancel("the goods are on their way or handed over")
    if order.status is Status.REJECTED:
        raise NotCancellable("the order was rejected, there is nothing to cancel")
    order.cancel_reason = reason
    order.move(Status.CANCELLING, "order.cancelling", "The order is being cancelled", reason)
    run = loaded.live.get(order.id)
    if run is None or run.over:
        return _start_cancel(loaded, order, now=now, new_id=new_id)
    why = Reason(code="orders.cancelled", message=reason)
    return engine.request_stop(definition_of(run), run, order, why, now=now)


def _start_cancel(loaded: Loaded, order: Order, *, now: datetime, new_id: NewId) -> list[Outgoing]:
    run, outgoing = engine.start(sagas.CANCEL, order, id=new_id(), now=now)
    loaded.add_run(run)
    return outgoing


def on_reservation_due(loaded: Loaded, envelope: Envelope, context: Context) -> Iterable[Outgoing]:
    """Inventory asks whether a reservation is still wanted: a live run extends it, a lost order releases it."""
    id = ids.parse(envelope.payload.order_id)
    order, run = loaded.orders.get(id), loaded.live.get(id)
    epoch = order.epoch if order else envelope.payload.epoch
    saga = SagaRef(order_id=str(id), run_id=str(run.id) if run else "", step=-1, epoch=epoch)
    if run is not None or (order is not None and order.status not in (Status.REJECTED, Status.CANCELLED)):
        return [Outgoing(ExtendReservation(order_id=str(id)), str(id), saga=saga)]
    saga.compensation = True
    return [Outgoing(ReleaseStock(order_id=str(id), disposition=DISPOSITION_RESTOCK), str(id), saga=saga)]


def on_deadline(loaded: Loaded, run: Run, *, now: datetime, new_id: NewId) -> list[Outgoing]:
    order = loaded.orders[run.subject_id]
    outgoing = engine.on_deadline(definition_of(run), run, order, now=now)
    return [*outgoing, *follow_up(loaded, order, now=now, new_id=new_id)]


def release_hold(loaded: Loaded, order: Order, *, now: datetime) -> list[Outgoing]:
    run = _held_run(loaded, order)
    return engine.resume(definition_of(run), run, order, now=now)


def reject_hold(loaded: Loaded, order: Order, reason: str, *, now: datetime) -> list[Outgoing]:
    run = _held_run(loaded, order)
    why = Reason(code="orders.rejected_by_operator", message=reason)
    return engine.compensate(definition_of(run), run, order, why, now=now)


def _held_run(loaded: Loaded, order: Order) -> Run:
    run = loaded.live.get(order.id)
    if order.status is not Status.ON_HOLD or run is None or run.state is not State.HELD:
        raise NotOnHold("the order is not on hold")
    return run


ACTIONS = {
    "retry": frozenset({State.RUNNING, State.PIVOT_UNKNOWN, State.COMPENSATING, *engine.OPERATORS_QUEUE}),
    "compensate": frozenset({State.RUNNING, State.HELD}),
    "skip": engine.OPERATORS_QUEUE,
    "force": frozenset({State.COMPENSATING, *engine.OPERATORS_QUEUE}),
}


def act_on_saga(
    loaded: Loaded, run: Run, action: str, reason: str, *, now: datetime, new_id: NewId
) -> list[Outgoing]:
    """An operator's hand on a run. Raises WrongSagaState where the action makes no sense."""
    definition, order = definition_of(run), loaded.orders[run.subject_id]
    if run.state not in ACTIONS[action] or (action == "compensate" and definition.past_pivot(run)):
        raise WrongSagaState(
            f"a run in {run.state} at step {definition.steps[run.step].name} cannot {action}"
        )
    order.record("saga.operator", f"An operator chose to {action}", reason)
    why = Reason(code="orders.operator", message=reason or f"an operator chose to {action}")
    match action:
        case "retry":
            outgoing = engine.retry(definition, run, order, now=now)
        case "compensate":
            outgoing = engine.compensate(definition, run, order, why, now=now)
        case "skip":
            outgoing = engine.skip(definition, run, order, now=now)
        case _:
            engine.force_end(definition, run, order)
            outgoing = []
    return [*outgoing, *follow_up(loaded, order, now=now, new_id=new_id)]


def keep_newest(views: dict[str, Any], key: str, snapshot: Any) -> None:
    """A snapshot replaces an older one of the same thing in the batch."""
    if key not in views or views[key].version < snapshot.version:
        views[key] = snapshot


def on_vendor_changed(loaded: Loaded, envelope: Envelope, context: Context) -> Iterable[Outgoing]:
    keep_newest(loaded.vendors, envelope.payload.vendor_id, envelope.payload)
    return []


def on_product_changed(loaded: Loaded, envelope: Envelope, context: Context) -> Iterable[Outgoing]:
    keep_newest(loaded.products, envelope.payload.product_id, envelope.payload)
    return []


def on_animal_changed(loaded: Loaded, envelope: Envelope, context: Context) -> Iterable[Outgoing]:
    keep_newest(loaded.animals, envelope.payload.animal_id, envelope.payload)
    return []
