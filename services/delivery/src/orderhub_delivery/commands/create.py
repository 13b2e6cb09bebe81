"""Another delivery of an order by hand, after its vendor or an operator has called off the one before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from orderhub_chassis.errors import FieldError
from orderhub_contracts.common.v1.common_pb2 import Address

from orderhub_delivery import errors, model, welfare
from orderhub_delivery.commands import plan
from orderhub_delivery.commands.plan import DecisionRow
from orderhub_delivery.model import Booking, Change, Delivery
from orderhub_delivery.welfare import RuleSet


@dataclass(frozen=True, slots=True)
class Wanted:
    """None: as in the order's last delivery."""

    pickup: Address | None
    ship_to: Address | None
    description: str


class RouteRefused(errors.AgainstRules):
    """Carries the decision, which is kept although nothing else of the request is."""

    def __init__(self, judgement: plan.Judgement, decision: DecisionRow) -> None:
        first = judgement.refusals[0][1]
        found = tuple(
            FieldError("/delivery_address", finding.rule_id, finding.text)
            for _, finding in judgement.refusals
        )
        super().__init__(first.text, errors=found)
        self.decision = decision


def create_delivery(
    earlier: Sequence[Delivery],
    planned: DecisionRow | None,
    wanted: Wanted,
    rules: RuleSet,
    *,
    id: UUID,
    decision_id: UUID,
    now: datetime,
) -> tuple[Delivery, Change, DecisionRow | None]:
    """`earlier` are the order's deliveries (at least one), `planned` its last decision if it has animals.

    Raises AlreadyLive, OrderClosed or RouteRefused.
    """
    model.require_another_possible(earlier)
    booking = _booking(model.current(earlier), wanted)
    decision = _judged(booking, planned, rules, decision_id, now)
    delivery, change = model.open_delivery(id, booking, held=False, now=now)
    return delivery, change, decision


def _booking(last: Delivery, wanted: Wanted) -> Booking:
    pickup = wanted.pickup or Address.FromString(last.pickup)
    ship_to = wanted.ship_to or Address.FromString(last.ship_to)
    return Booking(
        order_id=last.order_id,
        vendor_id=last.vendor_id,
        customer_id=last.customer_id,
        description=wanted.description or last.description,
        pickup=pickup.SerializeToString(),
        ship_to=ship_to.SerializeToString(),
        distance_km=welfare.distance_km(plan.place(pickup), plan.place(ship_to)),
    )


def _judged(
    booking: Booking, planned: DecisionRow | None, rules: RuleSet, decision_id: UUID, now: datetime
) -> DecisionRow | None:
    """The route or the day is another than when the order was planned: the rules have their say again."""
    if planned is None:
        return None
    origin = plan.place(Address.FromString(booking.pickup))
    destination = plan.place(Address.FromString(booking.ship_to))
    judgement = plan.judge(rules, plan.another_route(planned, origin, destination), at=now.date())
    row = plan.decision_row(judgement, id=decision_id, order_id=booking.order_id, now=now)
    if judgement.refusals:
        raise RouteRefused(judgement, row)
    return row
