"""Shapes of `orders/…`."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from orderhub_gateway.schemas.common import (
    Address,
    AddressInput,
    Input,
    LongText,
    Money,
    Reason,
    Sku,
)

Quantity = Annotated[int, Meta(ge=1, le=1_000_000)]
OrderStatus = Literal[
    "PENDING", "CONFIRMED", "IN_DELIVERY", "COMPLETED", "ON_HOLD", "REJECTED", "CANCELLING", "CANCELLED"
]


class OrderLineInput(Input):
    """One of: `product_id` and `quantity`; `sku` and `quantity`, with `vendor_id` unless unambiguous; `animal_id`."""

    product_id: UUID | UnsetType = UNSET
    vendor_id: UUID | UnsetType = UNSET
    sku: Sku | UnsetType = UNSET
    animal_id: UUID | UnsetType = UNSET
    quantity: Quantity | UnsetType = UNSET


class PaymentInput(Input):
    """Tokens of the simulator: tok_ok, tok_declined, tok_insufficient_funds, tok_timeout, tok_flaky."""

    token: Annotated[str, Meta(min_length=1, max_length=200)]


class PlaceOrder(Input):
    lines: Annotated[list[OrderLineInput], Meta(min_length=1, max_length=100)]
    ship_to: AddressInput
    payment: PaymentInput
    comment: LongText | None = None


class OrderedAnimal(msgspec.Struct, kw_only=True):
    id: str
    species: str
    age_days: int | None


class OrderLine(msgspec.Struct, kw_only=True):
    line_no: int
    product_id: str
    sku: str
    title: str
    quantity: int
    unit_price: Money
    line_total: Money
    animal: OrderedAnimal | None


class Totals(msgspec.Struct, kw_only=True):
    items: Money
    delivery: Money
    tax: Money
    total: Money


class PartRef(msgspec.Struct, kw_only=True):
    id: str
    status: str


class Order(msgspec.Struct, kw_only=True):
    id: str
    status: OrderStatus
    reason: Reason | None
    customer_id: str
    vendor_id: str
    lines: list[OrderLine]
    totals: Totals
    payment: PartRef | None
    delivery: PartRef | None
    ship_to: Address
    comment: str | None
    created_at: str
    updated_at: str
    version: int


class TimelineItem(msgspec.Struct, kw_only=True):
    at: str
    seq: int
    kind: str
    title: str
    detail: str
    service: str
    trace_id: str


class Timeline(msgspec.Struct, kw_only=True):
    items: list[TimelineItem]
