"""Deliveries and welfare verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from orderhub_contracts.common.v1 import common_pb2
from orderhub_contracts.delivery.v1 import commands_pb2
from orderhub_contracts.delivery.v1 import delivery_pb2 as pb
from orderhub_contracts.inventory.v1 import inventory_pb2

from orderhub_gateway.convert import common
from orderhub_gateway.schemas.deliveries import (
    CreateDelivery,
    Delivery,
    DeliveryStatus,
    Finding,
    Leg,
    Quote,
    ReportedPosition,
)


def delivery(message: pb.Delivery) -> Delivery:
    return Delivery(
        id=message.id,
        order_id=message.order_id,
        vendor_id=message.vendor_id,
        status=cast(DeliveryStatus, message.status),
        held=message.held,
        picked_up=message.picked_up,
        description=message.description,
        pickup_address=common.address(message.pickup_address),
        delivery_address=common.address(message.delivery_address),
        courier_id=message.courier_id or None,
        recipient=message.recipient or None,
        eta=message.eta or None,
        position=reported(message),
        legs=[leg(item) for item in message.legs],
        reason=common.reason(message),
        created_at=message.created_at,
        updated_at=message.updated_at,
        version=message.version,
    )


def reported(message: pb.Delivery) -> ReportedPosition | None:
    if not message.HasField("position"):
        return None
    return ReportedPosition(
        lat=message.position.lat, lon=message.position.lon, at=message.position_at or None
    )


def leg(message: pb.Leg) -> Leg:
    return Leg(
        leg_no=message.leg_no,
        from_city=message.from_city,
        to_city=message.to_city,
        distance_km=message.distance_km,
        status=message.status,
    )


def to_create_delivery(given: CreateDelivery) -> pb.CreateDeliveryRequest:
    pickup, goal = given.pickup_address, given.delivery_address
    return pb.CreateDeliveryRequest(
        order_id=str(given.order_id),
        pickup_address=common.to_address(pickup, "/pickup_address") if pickup else None,
        delivery_address=common.to_address(goal, "/delivery_address") if goal else None,
        description=given.description,
    )


def plan_line(
    line_no: int, quantity: int, product: inventory_pb2.Product, animals: Sequence[inventory_pb2.Animal]
) -> commands_pb2.PlanLine:
    """What the rules look at: the animals that may be taken, or the facts that all of a product share."""
    candidates: list[common_pb2.AnimalFacts] = [animal.facts for animal in animals]
    if product.kind == "countable":
        candidates = [product.facts]
    return commands_pb2.PlanLine(line_no=line_no, kind=product.kind, quantity=quantity, candidates=candidates)


def quote(message: pb.Quote) -> Quote:
    return Quote(
        verdict=message.verdict,
        rule_set_hash=message.rule_set_hash,
        distance_km=message.distance_km,
        findings=[finding(item) for item in message.findings],
    )


def finding(message: pb.Finding) -> Finding:
    return Finding(
        rule_id=message.rule_id,
        line_no=message.line_no,
        animal_id=message.animal_id or None,
        severity=message.severity,
        outcome=message.outcome,
        text=message.text,
        citation=message.citation,
        jurisdiction=message.jurisdiction,
    )
