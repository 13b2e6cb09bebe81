"""A delivery and a judgement in the words of the API."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from orderhub_chassis.clock import rfc3339
from orderhub_contracts.common.v1 import common_pb2
from orderhub_contracts.delivery.v1 import delivery_pb2 as pb

from orderhub_delivery import welfare
from orderhub_delivery.commands.plan import Judged, Judgement
from orderhub_delivery.model import Delivery, Scope, Status

LEG_STATUS: Final = {
    Status.CREATED: "PLANNED",
    Status.ASSIGNED: "PLANNED",
    Status.IN_PROGRESS: "IN_PROGRESS",
    Status.COMPLETED: "COMPLETED",
    Status.FAILED: "FAILED",
    Status.RETURNING: "FAILED",
    Status.RETURNED: "FAILED",
    Status.CANCELLED: "CANCELLED",
}


def delivery(found: Delivery, scope: Scope) -> pb.Delivery:
    pickup = common_pb2.Address.FromString(found.pickup)
    ship_to = common_pb2.Address.FromString(found.ship_to)
    answer = pb.Delivery(
        id=str(found.id),
        order_id=str(found.order_id),
        status=found.status,
        description=found.description,
        pickup_address=pickup,
        delivery_address=_seen_by(scope, found, ship_to),
        courier_id=found.courier_id,
        eta=_time(found.eta_at),
        legs=[_leg(found, pickup, ship_to)],
        updated_at=rfc3339(found.updated_at),
        version=found.version,
        vendor_id=str(found.vendor_id),
        customer_id=found.customer_id,
        held=found.held,
        picked_up=found.picked_up,
        recipient=found.recipient,
        created_at=rfc3339(found.created_at),
    )
    if found.reason_code:
        answer.reason.CopyFrom(common_pb2.Reason(code=found.reason_code, message=found.reason_message))
    if found.position is not None:
        answer.position.CopyFrom(common_pb2.Position(lat=found.position.lat, lon=found.position.lon))
        answer.position_at = rfc3339(found.position.at)
    return answer


def _seen_by(scope: Scope, found: Delivery, ship_to: common_pb2.Address) -> common_pb2.Address:
    """A courier who only looks for work learns where to, not whose door it is."""
    party = scope.manages(found) or found.customer_id == scope.customer_id
    if party or found.courier_id == scope.courier_id:
        return ship_to
    ship_to.name = ship_to.phone = ship_to.line1 = ""
    return ship_to


def _leg(found: Delivery, pickup: common_pb2.Address, ship_to: common_pb2.Address) -> pb.Leg:
    """The one leg there is: from door to door."""
    return pb.Leg(
        leg_no=1,
        from_city=pickup.city,
        to_city=ship_to.city,
        distance_km=found.distance_km or 0.0,
        status=LEG_STATUS[found.status],
    )


def _time(at: datetime | None) -> str:
    return rfc3339(at) if at else ""


def quote(judgement: Judgement) -> pb.Quote:
    """Every finding, those of the candidates that will not be taken too."""
    return pb.Quote(
        verdict=judgement.verdict,
        rule_set_hash=judgement.rule_set_hash,
        findings=[f for line in judgement.lines for judged in line.judged for f in _findings(judged)],
        distance_km=welfare.distance_km(judgement.plan.origin, judgement.plan.destination) or 0.0,
    )


def _findings(judged: Judged) -> list[pb.Finding]:
    return [
        pb.Finding(
            rule_id=finding.rule_id,
            line_no=finding.line_no,
            severity=finding.severity,
            outcome=finding.outcome,
            text=finding.text,
            citation=finding.citation,
            jurisdiction=finding.jurisdiction,
            animal_id=judged.animal_id,
        )
        for finding in judged.findings
    ]
