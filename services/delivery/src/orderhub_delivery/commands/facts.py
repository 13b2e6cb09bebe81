"""What is told about a delivery: the event of a change, and the snapshot inside a reply."""

from __future__ import annotations

from orderhub_chassis import participant
from orderhub_chassis.messages import Outgoing
from orderhub_contracts.delivery.v1.commands_pb2 import DeliverySnapshot
from orderhub_contracts.events.v1.events_pb2 import DeliveryChanged
from orderhub_contracts.events.v1.records_pb2 import SagaRef
from orderhub_contracts.orders.v1 import replies_pb2
from orderhub_contracts.orders.v1.replies_pb2 import SagaReply

from orderhub_delivery.model import Change, Delivery


def told(delivery: Delivery, change: Change, *, actor: str = "", saga: SagaRef | None = None) -> Outgoing:
    """`saga` is the step that led to it, whose reply says the same to orders."""
    event = DeliveryChanged(
        delivery_id=str(delivery.id),
        order_id=str(delivery.order_id),
        status=delivery.status,
        version=delivery.version,
        courier_id=delivery.courier_id,
        kind=change.kind,
        detail=change.detail,
        final=change.final,
        picked_up=delivery.picked_up,
    )
    return Outgoing(event, event.order_id, saga=saga, actor=actor, vendor_id=str(delivery.vendor_id))


def snapshot(delivery: Delivery) -> DeliverySnapshot:
    return DeliverySnapshot(
        delivery_id=str(delivery.id),
        status=delivery.status,
        version=delivery.version,
        courier_id=delivery.courier_id,
        picked_up=delivery.picked_up,
    )


def succeeded(order_id: str, delivery: Delivery | None) -> SagaReply:
    return SagaReply(
        order_id=order_id,
        outcome=replies_pb2.OUTCOME_SUCCEEDED,
        delivery=snapshot(delivery) if delivery else None,
    )


def refused(order_id: str, code: str, message: str, delivery: Delivery) -> SagaReply:
    reply = participant.refused(order_id, code, message)
    reply.delivery.CopyFrom(snapshot(delivery))
    return reply
