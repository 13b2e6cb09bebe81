"""Orders and their timeline."""

from __future__ import annotations

from typing import cast

from msgspec import UNSET
from orderhub_contracts.orders.v1 import orders_pb2

from orderhub_gateway.convert import common
from orderhub_gateway.convert.common import Fields
from orderhub_gateway.schemas.orders import (
    Order,
    OrderedAnimal,
    OrderLine,
    OrderLineInput,
    OrderStatus,
    PartRef,
    PlaceOrder,
    TimelineItem,
    Totals,
)


def to_line(given: OrderLineInput) -> Fields:
    return {
        "product_id": common.text(given.product_id),
        "vendor_id": common.text(given.vendor_id),
        "sku": common.text(given.sku),
        "animal_id": common.text(given.animal_id),
        "quantity": 0 if given.quantity is UNSET else given.quantity,
    }


def to_place_order(given: PlaceOrder) -> Fields:
    """The fields of a PlaceOrderRequest."""
    return {
        "lines": [to_line(line) for line in given.lines],
        "ship_to": common.to_address(given.ship_to, "/ship_to"),
        "payment_token": given.payment.token,
        "comment": given.comment,
    }


def order_line(message: orders_pb2.OrderLine) -> OrderLine:
    return OrderLine(
        line_no=message.line_no,
        product_id=message.product_id,
        sku=message.sku,
        title=message.title,
        quantity=message.quantity,
        unit_price=common.money(message.unit_price),
        line_total=common.money(message.line_total),
        animal=ordered_animal(message.animal) if message.HasField("animal") else None,
    )


def ordered_animal(message: orders_pb2.OrderedAnimal) -> OrderedAnimal:
    age = message.age_days if message.HasField("age_days") else None
    return OrderedAnimal(id=message.id, species=message.species, age_days=age)


def totals(message: orders_pb2.Totals) -> Totals:
    return Totals(
        items=common.money(message.items),
        delivery=common.money(message.delivery),
        tax=common.money(message.tax),
        total=common.money(message.total),
    )


def part(message: orders_pb2.PartRef) -> PartRef | None:
    return PartRef(id=message.id, status=message.status) if message.id else None


def order(message: orders_pb2.Order) -> Order:
    return Order(
        id=message.id,
        status=cast(OrderStatus, message.status),
        reason=common.reason(message),
        customer_id=message.customer_id,
        vendor_id=message.vendor_id,
        lines=[order_line(line) for line in message.lines],
        totals=totals(message.totals),
        payment=part(message.payment),
        delivery=part(message.delivery),
        ship_to=common.address(message.ship_to),
        comment=message.comment or None,
        created_at=message.created_at,
        updated_at=message.updated_at,
        version=message.version,
    )


def timeline_item(message: orders_pb2.TimelineItem) -> TimelineItem:
    return TimelineItem(
        at=message.at,
        seq=message.seq,
        kind=message.kind,
        title=message.title,
        detail=message.detail,
        service=message.service,
        trace_id=message.trace_id,
    )
