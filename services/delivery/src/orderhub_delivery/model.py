"""A delivery and its transitions. Each changes the delivery and returns what happened, returns None where that had
happened before, or raises and changes nothing. No I/O, clock or ids inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec

from orderhub_delivery import errors


class Status(StrEnum):
    CREATED = "CREATED"
    ASSIGNED = "ASSIGNED"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    RETURNING = "RETURNING"
    RETURNED = "RETURNED"
    CANCELLED = "CANCELLED"


LIVE: Final = frozenset({Status.CREATED, Status.ASSIGNED, Status.IN_PROGRESS, Status.RETURNING})
BEFORE_PICK_UP: Final = frozenset({Status.CREATED, Status.ASSIGNED})
WITH_COURIER: Final = frozenset({Status.ASSIGNED, Status.IN_PROGRESS})

# Only an estimate for people: roads are longer than the great circle, and a courier has to come first.
ROAD_FACTOR, ROAD_KM_PER_HOUR = 1.3, 60.0
UNTIL_PICK_UP: Final = timedelta(hours=2)
CLOCK_TOLERANCE: Final = timedelta(minutes=5)
"""How far a courier's clock may be ahead; without a limit one wrong report would hide all later ones."""


class Change(msgspec.Struct, frozen=True):
    """One public fact about a delivery; `final` says that no further attempt follows."""

    kind: str
    detail: str = ""
    final: bool = False


class Booking(msgspec.Struct, frozen=True):
    """What is to be brought from where to where. Addresses are serialised `common.v1.Address`."""

    order_id: UUID
    vendor_id: UUID
    customer_id: str
    description: str
    pickup: bytes
    ship_to: bytes
    distance_km: float | None


class Position(msgspec.Struct, frozen=True):
    lat: float
    lon: float
    at: datetime


class Delivery(msgspec.Struct):
    """`held`: no courier may see it yet. `closed`: a saga has ended it, no other delivery of the order follows."""

    id: UUID
    order_id: UUID
    vendor_id: UUID
    customer_id: str
    description: str
    pickup: bytes
    ship_to: bytes
    distance_km: float | None
    created_at: datetime
    updated_at: datetime
    eta_at: datetime | None = None
    status: Status = Status.CREATED
    held: bool = False
    closed: bool = False
    picked_up: bool = False
    version: int = 1
    courier_id: str = ""
    recipient: str = ""
    reason_code: str = ""
    reason_message: str = ""
    position: Position | None = None
    new: bool = False
    changed: bool = False

    @property
    def live(self) -> bool:
        return self.status in LIVE

    @property
    def free(self) -> bool:
        """Any courier may take it."""
        return self.status is Status.CREATED and not self.held


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose deliveries somebody may see: all, or those of any of the parties that are named."""

    everything: bool = False
    vendor_id: UUID | None = None
    customer_id: str | None = None
    courier_id: str | None = None

    def sees(self, delivery: Delivery) -> bool:
        return (
            self.everything
            or delivery.vendor_id == self.vendor_id
            or delivery.customer_id == self.customer_id
            or self.carries(delivery)
        )

    def manages(self, delivery: Delivery) -> bool:
        """The vendor whose goods they are, or an operator."""
        return self.everything or delivery.vendor_id == self.vendor_id

    def carries(self, delivery: Delivery) -> bool:
        """The courier who has it, any courier while it is free, or an operator."""
        if self.everything:
            return True
        return self.courier_id is not None and (delivery.courier_id == self.courier_id or delivery.free)


def open_delivery(id: UUID, booking: Booking, *, held: bool, now: datetime) -> tuple[Delivery, Change]:
    delivery = Delivery(
        id=id,
        order_id=booking.order_id,
        vendor_id=booking.vendor_id,
        customer_id=booking.customer_id,
        description=booking.description,
        pickup=booking.pickup,
        ship_to=booking.ship_to,
        distance_km=booking.distance_km,
        created_at=now,
        updated_at=now,
        eta_at=_eta(booking.distance_km, now + UNTIL_PICK_UP),
        held=held,
        new=True,
    )
    return delivery, Change("delivery.created")


def _eta(distance_km: float | None, start: datetime) -> datetime | None:
    if distance_km is None:
        return None
    return start + timedelta(hours=distance_km * ROAD_FACTOR / ROAD_KM_PER_HOUR)


def current(deliveries: Sequence[Delivery]) -> Delivery:
    """The one that stands for the order: the live one, or else the last."""
    return max(deliveries, key=lambda delivery: (delivery.live, delivery.id))


def require_another_possible(deliveries: Sequence[Delivery]) -> None:
    """A new delivery of the order may be made: all earlier ones were called off before pick-up, none by a saga."""
    if any(delivery.live for delivery in deliveries):
        raise errors.AlreadyLive
    if any(delivery.closed or delivery.status is not Status.CANCELLED for delivery in deliveries):
        raise errors.OrderClosed


def release(delivery: Delivery, *, now: datetime) -> None:
    """Couriers may have it from now on. Nothing to tell: its creation was told, and the status stays."""
    if delivery.held:
        _require(delivery, "released", Status.CREATED)
        delivery.held = False
        _touch(delivery, now)


def assign(delivery: Delivery, courier_id: str, *, now: datetime) -> Change | None:
    if delivery.status is Status.ASSIGNED:
        if delivery.courier_id != courier_id:
            raise errors.AlreadyAssigned
        return None
    _require(delivery, "assigned", Status.CREATED)
    _require_released(delivery)
    delivery.courier_id = courier_id
    return _move(delivery, Status.ASSIGNED, Change("delivery.assigned"), now)


def pick_up(delivery: Delivery, *, now: datetime) -> Change | None:
    if delivery.status is Status.IN_PROGRESS:
        return None
    _require(delivery, "picked up", Status.ASSIGNED)
    delivery.picked_up = True
    delivery.eta_at = _eta(delivery.distance_km, now)
    return _move(delivery, Status.IN_PROGRESS, Change("delivery.picked_up"), now)


def hand_over(delivery: Delivery, recipient: str, *, now: datetime) -> Change | None:
    if delivery.status is Status.COMPLETED and delivery.recipient == recipient:
        return None
    _require(delivery, "handed over", Status.IN_PROGRESS)
    delivery.recipient = recipient
    return _move(delivery, Status.COMPLETED, Change("delivery.completed"), now)


def fail(delivery: Delivery, reason: str, *, now: datetime) -> Change | None:
    """For good: its order will be cancelled."""
    if delivery.status is Status.FAILED and delivery.reason_message == reason:
        return None
    _require(delivery, "failed", *WITH_COURIER)
    _explain(delivery, "delivery.failed", reason)
    return _move(delivery, Status.FAILED, Change("delivery.failed", reason, final=True), now)


def cancel(delivery: Delivery, reason: str, *, now: datetime) -> Change | None:
    """By the vendor or an operator; the order stays and may get another delivery."""
    if delivery.status is Status.CANCELLED:
        return None
    _require_not_picked_up(delivery)
    _require(delivery, "cancelled", *BEFORE_PICK_UP)
    _require_released(delivery)
    return _call_off(delivery, "delivery.cancelled", reason, now)


def stop(delivery: Delivery, code: str, reason: str, *, now: datetime) -> Change | None:
    """By a saga: whatever is not on its way yet never will be. Raises PickedUp when the courier was faster."""
    if delivery.status in (Status.IN_PROGRESS, Status.COMPLETED):
        raise errors.PickedUp
    if not delivery.closed:
        delivery.closed = delivery.changed = True
    return _call_off(delivery, code, reason, now) if delivery.status in BEFORE_PICK_UP else None


def report(delivery: Delivery, position: Position) -> bool:
    """Take a position; False where a newer one is known, which then stays."""
    _require(delivery, "located", *WITH_COURIER)
    if delivery.position is not None and position.at <= delivery.position.at:
        return False
    delivery.position = position
    return True


def _call_off(delivery: Delivery, code: str, reason: str, now: datetime) -> Change:
    _explain(delivery, code, reason)
    return _move(delivery, Status.CANCELLED, Change("delivery.cancelled", reason), now)


def _move(delivery: Delivery, status: Status, change: Change, now: datetime) -> Change:
    delivery.status = status
    _touch(delivery, now)
    return change


def _touch(delivery: Delivery, now: datetime) -> None:
    delivery.version += 1
    delivery.updated_at = now
    delivery.changed = True


def _explain(delivery: Delivery, code: str, message: str) -> None:
    delivery.reason_code, delivery.reason_message = code, message


def _require(delivery: Delivery, asked: str, *allowed: Status) -> None:
    if delivery.status not in allowed:
        raise errors.WrongStatus(delivery.status, asked)


def _require_released(delivery: Delivery) -> None:
    if delivery.held:
        raise errors.Held


def _require_not_picked_up(delivery: Delivery) -> None:
    if delivery.picked_up:
        raise errors.PickedUp
