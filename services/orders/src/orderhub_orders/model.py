"""An order, its lines and its legal transitions. No I/O, no clock, no ids: they are passed in."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec
from orderhub_contracts.common.v1.common_pb2 import AnimalFacts, Reason

from orderhub_orders.errors import IllegalTransition

NO_REASON: Final = Reason()
"""What most orders and runs have; replaced, never changed in place."""


class Status(StrEnum):
    PENDING = "PENDING"
    CONFIRMED = "CONFIRMED"
    IN_DELIVERY = "IN_DELIVERY"
    COMPLETED = "COMPLETED"
    ON_HOLD = "ON_HOLD"
    REJECTED = "REJECTED"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"


SETTLED: Final = frozenset({Status.CONFIRMED, Status.REJECTED, Status.CANCELLED, Status.ON_HOLD})
TERMINAL: Final = frozenset({Status.COMPLETED, Status.REJECTED, Status.CANCELLED})

LEGAL: Final[dict[Status, frozenset[Status]]] = {
    Status.PENDING: frozenset({Status.CONFIRMED, Status.ON_HOLD, Status.REJECTED, Status.CANCELLING}),
    Status.ON_HOLD: frozenset({Status.PENDING, Status.REJECTED, Status.CANCELLING}),
    Status.CONFIRMED: frozenset({Status.IN_DELIVERY, Status.CANCELLING}),
    Status.IN_DELIVERY: frozenset({Status.COMPLETED, Status.CANCELLING}),
    Status.CANCELLING: frozenset({Status.CANCELLED, Status.CONFIRMED, Status.IN_DELIVERY, Status.COMPLETED}),
    Status.COMPLETED: frozenset(),
    Status.REJECTED: frozenset(),
    Status.CANCELLED: frozenset(),
}


class Line(msgspec.Struct):
    """A line at the price of its acceptance. `candidates` are what the rules have to look at."""

    line_no: int
    product_id: UUID
    sku: str
    title: str
    kind: str
    quantity: int
    unit_price_minor: int
    candidates: list[AnimalFacts] = msgspec.field(default_factory=list)
    allowed_animals: list[UUID] | None = None
    animal_id: UUID | None = None
    animal_species: str = ""
    animal_born_on: date | None = None
    changed: bool = False

    @property
    def total_minor(self) -> int:
        return self.quantity * self.unit_price_minor


class Event(msgspec.Struct, frozen=True):
    """One public fact in the order's history."""

    seq: int
    kind: str
    title: str
    detail: str
    service: str
    at: datetime
    status: str


class Order(msgspec.Struct):
    id: UUID
    customer_id: str
    vendor_id: UUID
    currency: str
    lines: list[Line]
    payment_token: str
    # Two serialised Addresses: of all messages of an order's life only two look at them.
    pickup: bytes
    ship_to: bytes
    comment: str
    created_at: datetime
    updated_at: datetime
    status: Status = Status.PENDING
    former_status: str = ""
    reason: Reason = msgspec.field(default_factory=lambda: NO_REASON)
    cancel_reason: str | None = None
    items_minor: int = 0
    delivery_minor: int = 0
    tax_minor: int = 0
    payment_id: str = ""
    payment_status: str = ""
    payment_version: int = 0
    delivery_id: str = ""
    delivery_status: str = ""
    delivery_version: int = 0
    picked_up: bool = False
    epoch: int = 0
    last_seq: int = 0
    trace_id: str = ""
    now: datetime = msgspec.field(default_factory=lambda: datetime.min)
    events: list[Event] = msgspec.field(default_factory=list)
    changed: bool = False

    @property
    def version(self) -> int:
        """One more with each public fact."""
        return self.last_seq

    @property
    def total_minor(self) -> int:
        return self.items_minor + self.delivery_minor + self.tax_minor

    def move(self, status: Status, kind: str, title: str, detail: str = "") -> None:
        """A transition with its public fact. Raises IllegalTransition for one that does not exist."""
        if status not in LEGAL[self.status]:
            raise IllegalTransition(f"order {self.id}: {self.status} cannot become {status}")
        if status is Status.CANCELLING:
            self.former_status = self.status
        self.status = status
        self.record(kind, title, detail)

    def record(self, kind: str, title: str, detail: str = "", *, service: str = "orders") -> None:
        """Append to the history; the order itself changes with it."""
        self.last_seq += 1
        self.updated_at = self.now
        self.changed = True
        self.events.append(Event(self.last_seq, kind, title, detail, service, self.now, self.status))

    def give_reason(self, code: str, message: str) -> None:
        self.reason = Reason(code=code, message=message)
        self.changed = True

    def payment_is(self, payment_id: str, status: str, version: int) -> bool:
        """Take over what payments says, unless something newer was heard; True when it is news."""
        if version <= self.payment_version:
            return False
        self.payment_id, self.payment_status, self.payment_version = payment_id, status, version
        self.changed = True
        return True

    def delivery_is(self, delivery_id: str, status: str, version: int, *, picked_up: bool) -> bool:
        """Take over what delivery says; a later delivery (UUIDv7) starts its versions anew."""
        if (delivery_id, version) <= (self.delivery_id, self.delivery_version):
            return False
        self.delivery_id, self.delivery_status, self.delivery_version = delivery_id, status, version
        self.picked_up = self.picked_up or picked_up
        self.changed = True
        return True
