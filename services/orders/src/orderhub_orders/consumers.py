"""What orders hears and which decision it meets: replies of its sagas, facts of the others, inventory's snapshots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from google.protobuf.message import Message
from orderhub_chassis import ids
from orderhub_chassis.consumer import ConsumerSpec, Context, Decision
from orderhub_chassis.db import Transaction
from orderhub_chassis.messages import Envelope
from orderhub_contracts import topics
from orderhub_contracts.events.v1 import events_pb2 as events
from orderhub_contracts.events.v1.records_pb2 import Record
from orderhub_contracts.inventory.v1.commands_pb2 import ReservationDue
from orderhub_contracts.orders.v1.replies_pb2 import CommandDeadLettered, SagaReply

from orderhub_orders import commands, store
from orderhub_orders.remembered import Remembered
from orderhub_orders.store import Loaded

HANDLERS: Final[Mapping[type[Message], Decision[Loaded]]] = {
    SagaReply: commands.on_saga_reply,
    CommandDeadLettered: commands.on_command_dead_lettered,
    ReservationDue: commands.on_reservation_due,
    events.PaymentChanged: commands.on_payment_changed,
    events.DeliveryChanged: commands.on_delivery_changed,
    events.VendorChanged: commands.on_vendor_changed,
    events.ProductChanged: commands.on_product_changed,
    events.AnimalChanged: commands.on_animal_changed,
}
FACTS: Final = frozenset(
    message.DESCRIPTOR.full_name for message in (events.PaymentChanged, events.DeliveryChanged)
)
SNAPSHOTS: Final = (events.VendorChanged, events.ProductChanged, events.AnimalChanged)


def told_by_reply(record: Record) -> bool:
    """A change that a saga's step has made: the participant's reply tells it, in the same transaction."""
    return record.type in FACTS and record.HasField("saga")


def spec(settled: Callable[[Loaded], None]) -> ConsumerSpec[Loaded]:
    """`settled` is told the saved state, to wake those who wait for an order."""
    remembered = Remembered()

    async def load(tx: Transaction, envelopes: Sequence[Envelope], context: Context) -> Loaded:
        wanted = {ids.parse(e.payload.order_id) for e in envelopes if not isinstance(e.payload, SNAPSHOTS)}
        return await store.load_orders(tx, wanted, now=context.now, remembered=remembered)

    async def save(tx: Transaction, loaded: Loaded, context: Context) -> None:
        await store.save(tx, loaded, now=context.now)

    def saved(loaded: Loaded) -> None:
        settled(loaded)
        store.remember(loaded, remembered)

    return ConsumerSpec(
        "orders", topics.READERS["orders"], load, HANDLERS, save, after_commit=saved, ignores=told_by_reply
    )
