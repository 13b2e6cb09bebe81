"""The saga commands: what each batch loads, and which decision each command meets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from google.protobuf.message import Message
from orderhub_chassis import ids, participant
from orderhub_chassis.consumer import ConsumerSpec, Context, Decision
from orderhub_chassis.db import Transaction
from orderhub_chassis.messages import Envelope
from orderhub_chassis.participant import answering
from orderhub_contracts import topics
from orderhub_contracts.delivery.v1 import commands_pb2 as commands
from orderhub_contracts.events.v1.records_pb2 import SagaRef

from orderhub_delivery import metrics, store
from orderhub_delivery.commands import saga
from orderhub_delivery.commands.saga import State
from orderhub_delivery.welfare import RuleSet

HANDLERS: Final[dict[type[Message], Decision[State]]] = {
    commands.PlanDelivery: answering(saga.plan_delivery),
    commands.BookDelivery: answering(saga.book_delivery),
    commands.ReleaseDelivery: answering(saga.release_delivery),
    commands.CancelBooking: answering(saga.cancel_booking),
    commands.StopDelivery: answering(saga.stop_delivery),
}


def spec(rules: RuleSet) -> ConsumerSpec[State]:
    async def load(tx: Transaction, envelopes: Sequence[Envelope], _: Context) -> State:
        """Locks the standings of all orders, then the deliveries of those that are more than planned."""
        standings = await participant.load(tx, {_order_of(e) for e in envelopes})
        beyond_plan = {_order_of(e) for e in envelopes if not isinstance(e.payload, commands.PlanDelivery)}
        deliveries = await store.load_orders(tx, beyond_plan) if beyond_plan else {}
        return State(rules, standings, deliveries)

    return ConsumerSpec("delivery", topics.READERS["delivery"], load, HANDLERS, save, after_commit=_count)


async def save(tx: Transaction, state: State, _: Context) -> None:
    await participant.save(tx, state.standings)
    await store.save(tx, [delivery for booked in state.deliveries.values() for delivery in booked])
    await store.add_decisions(tx, state.decisions)


def _order_of(envelope: Envelope) -> UUID:
    return ids.parse(_step_of(envelope).order_id)


def _step_of(envelope: Envelope) -> SagaRef:
    """Raises ValueError, which makes a dead letter, where a command and its saga step speak of different orders."""
    order_id, step = envelope.payload.order_id, envelope.saga
    if step is None or step.order_id != order_id:
        raise ValueError(f"{envelope.record.type} of order {order_id!r} carries another order's saga step")
    return step


def _count(state: State) -> None:
    for verdict in state.verdicts:
        metrics.PLANS.labels(verdict).inc()
    for change in state.changes:
        metrics.CHANGES.labels(change.kind).inc()
