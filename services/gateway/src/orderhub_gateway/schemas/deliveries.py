"""Shapes of `deliveries/…`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from orderhub_gateway.schemas.common import (
    Address,
    AddressInput,
    Input,
    PositionInput,
    Reason,
)
from orderhub_gateway.schemas.orders import OrderLineInput

DeliveryStatus = Literal[
    "CREATED", "ASSIGNED", "IN_PROGRESS", "COMPLETED", "FAILED", "RETURNING", "RETURNED", "CANCELLED"
]


class Leg(msgspec.Struct, kw_only=True):
    leg_no: int
    from_city: str
    to_city: str
    distance_km: float
    status: str


class ReportedPosition(msgspec.Struct, kw_only=True):
    lat: float
    lon: float
    at: str | None


class Delivery(msgspec.Struct, kw_only=True):
    """`held`: the order is not confirmed yet, so no courier can take it."""

    id: str
    order_id: str
    vendor_id: str
    status: DeliveryStatus
    held: bool
    picked_up: bool
    description: str
    pickup_address: Address
    delivery_address: Address
    courier_id: str | None
    recipient: str | None
    eta: str | None
    position: ReportedPosition | None
    legs: list[Leg]
    reason: Reason | None
    created_at: str
    updated_at: str
    version: int


class CreateDelivery(Input):
    """A new attempt for an order; without addresses those of the order are taken."""

    order_id: UUID
    pickup_address: AddressInput | None = None
    delivery_address: AddressInput | None = None
    description: Annotated[str, Meta(max_length=500)] = ""


class Assign(Input):
    """Without `courier_id` the calling courier takes it."""

    courier_id: UUID | None = None


class ReportPosition(Input):
    """`at`: when it was measured; now, if absent. Reports that come late change nothing."""

    position: PositionInput
    at: datetime | None = None


class HandOver(Input):
    recipient: Annotated[str, Meta(max_length=200)] = ""


class QuoteDelivery(Input):
    """Lines as of an order; `pickup` is the vendor's address if absent."""

    lines: Annotated[list[OrderLineInput], Meta(min_length=1, max_length=100)]
    ship_to: AddressInput
    pickup: AddressInput | None = None


class Finding(msgspec.Struct, kw_only=True):
    rule_id: str
    line_no: int
    animal_id: str | None
    severity: str
    outcome: str
    text: str
    citation: str
    jurisdiction: str


class Quote(msgspec.Struct, kw_only=True):
    """The welfare verdict: allow, warn or refuse, and why."""

    verdict: str
    rule_set_hash: str
    distance_km: float
    findings: list[Finding]
