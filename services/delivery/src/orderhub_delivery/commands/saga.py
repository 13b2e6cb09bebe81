"""What each saga command does to the deliveries that its batch has loaded. Answers, never raises, for a wrong state."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from orderhub_chassis import ids, participant
from orderhub_chassis.consumer import Context
from orderhub_chassis.errors import Failure
from orderhub_chassis.messages import Envelope, Outgoing
from orderhub_chassis.participant import Standing
from orderhub_contracts.delivery.v1.commands_pb2 import BookDelivery, DeliveryPlanned
from orderhub_contracts.orders.v1 import replies_pb2
from orderhub_contracts.orders.v1.replies_pb2 import SagaReply

from orderhub_delivery import errors, model, welfare
from orderhub_delivery.commands import facts, plan
from orderhub_delivery.commands.plan import DecisionRow
from orderhub_delivery.model import Booking, Change, Delivery
from orderhub_delivery.welfare import RuleSet, Verdict

STOPPED: Final = "delivery.stopped"
BOOKING_UNDONE: Final = "delivery.booking_undone"


@dataclass(slots=True)
class State:
    """All that a batch names: per order its saga standing and its deliveries, and the decisions it makes."""

    rules: RuleSet
    standings: dict[UUID, Standing]
    deliveries: dict[UUID, list[Delivery]]
    decisions: list[DecisionRow] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)


Answer = Iterable[Outgoing | SagaReply]


def plan_delivery(state: State, envelope: Envelope, context: Context) -> Answer:
    """What is planned for goods alone needs no rule and leaves no decision."""
    command = envelope.payload
    asked = plan.plan_of(command.pickup, command.ship_to, command.lines)
    if asked is None:
        return [
            _planned(command.order_id, DeliveryPlanned(rule_set_hash=state.rules.hash, verdict=Verdict.ALLOW))
        ]
    judgement = plan.judge(state.rules, asked, at=context.now.date())
    row = plan.decision_row(
        judgement, id=context.new_id(), order_id=ids.parse(command.order_id), now=context.now
    )
    state.decisions.append(row)
    state.verdicts.append(judgement.verdict)
    reply = _planned(command.order_id, plan.planned(judgement, str(row.id)))
    if judgement.refusals:
        reply.outcome = replies_pb2.OUTCOME_FAILED
        reply.reason.CopyFrom(plan.reason(judgement))
    return [reply]


def _planned(order_id: str, result: DeliveryPlanned) -> SagaReply:
    return SagaReply(order_id=order_id, outcome=replies_pb2.OUTCOME_SUCCEEDED, delivery_planned=result)


def book_delivery(state: State, envelope: Envelope, context: Context) -> Answer:
    """Held back until the saga releases it. A delivery that is there already, and live, is the answer."""
    command = envelope.payload
    booked = state.deliveries.setdefault(ids.parse(command.order_id), [])
    if booked:
        last = model.current(booked)
        if last.live and not last.closed:
            return [facts.succeeded(command.order_id, last)]
        refusal = errors.OrderClosed()
        return [facts.refused(command.order_id, refusal.code, refusal.detail, last)]
    delivery, change = model.open_delivery(context.new_id(), booking_of(command), held=True, now=context.now)
    booked.append(delivery)
    state.changes.append(change)
    return [facts.told(delivery, change, saga=envelope.saga), facts.succeeded(command.order_id, delivery)]


def booking_of(command: BookDelivery) -> Booking:
    origin, destination = plan.place(command.pickup), plan.place(command.ship_to)
    return Booking(
        order_id=ids.parse(command.order_id),
        vendor_id=ids.parse(command.vendor_id),
        customer_id=command.customer_id,
        description=command.description,
        pickup=command.pickup.SerializeToString(),
        ship_to=command.ship_to.SerializeToString(),
        distance_km=welfare.distance_km(origin, destination),
    )


def release_delivery(state: State, envelope: Envelope, context: Context) -> Answer:
    order_id = envelope.payload.order_id
    booked = state.deliveries.get(ids.parse(order_id))
    if not booked:
        missing = errors.OrderNotFound()
        return [participant.refused(order_id, missing.code, missing.detail)]
    return _answered(envelope, model.current(booked), lambda d: model.release(d, now=context.now), state)


def cancel_booking(state: State, envelope: Envelope, context: Context) -> Answer:
    """Undoing nothing succeeds; the raised epoch in the order's standing keeps a late booking out."""
    return _stop(state, envelope, context, BOOKING_UNDONE, "the order was not placed")


def stop_delivery(state: State, envelope: Envelope, context: Context) -> Answer:
    return _stop(state, envelope, context, STOPPED, envelope.payload.reason)


def _stop(state: State, envelope: Envelope, context: Context, code: str, reason: str) -> Answer:
    order_id = envelope.payload.order_id
    booked = state.deliveries.get(ids.parse(order_id))
    if not booked:
        return [facts.succeeded(order_id, None)]
    return _answered(
        envelope, model.current(booked), lambda d: model.stop(d, code, reason, now=context.now), state
    )


def _answered(
    envelope: Envelope, delivery: Delivery, transition: Callable[[Delivery], Change | None], state: State
) -> Answer:
    order_id = envelope.payload.order_id
    try:
        change = transition(delivery)
    except Failure as failure:
        return [facts.refused(order_id, failure.code, failure.detail, delivery)]
    reply = facts.succeeded(order_id, delivery)
    if change is None:
        return [reply]
    state.changes.append(change)
    return [facts.told(delivery, change, saga=envelope.saga), reply]
