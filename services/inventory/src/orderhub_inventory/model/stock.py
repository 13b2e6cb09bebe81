"""Stock, animals and reservations: their states, the legal transitions, and the journal lines these leave behind."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

import msgspec


class Kind(StrEnum):
    GOOD = "good"
    COUNTABLE = "countable"
    INDIVIDUAL = "individual"


class ReservationStatus(StrEnum):
    PENDING = "PENDING"
    RESERVED = "RESERVED"
    COMMITTED = "COMMITTED"
    RELEASED = "RELEASED"
    FAILED = "FAILED"
    QUARANTINED = "QUARANTINED"


class AnimalStatus(StrEnum):
    FREE = "free"
    RESERVED = "reserved"
    SOLD = "sold"
    QUARANTINED = "quarantined"
    WITHDRAWN = "withdrawn"


_R, _A = ReservationStatus, AnimalStatus
RESERVATION_MOVES: Mapping[ReservationStatus, frozenset[ReservationStatus]] = MappingProxyType(
    {
        _R.PENDING: frozenset({_R.RESERVED, _R.FAILED}),
        _R.RESERVED: frozenset({_R.COMMITTED, _R.RELEASED}),
        _R.COMMITTED: frozenset({_R.RELEASED, _R.QUARANTINED}),
        _R.QUARANTINED: frozenset({_R.RELEASED}),
        _R.RELEASED: frozenset(),
        _R.FAILED: frozenset(),
    }
)
ANIMAL_MOVES: Mapping[AnimalStatus, frozenset[AnimalStatus]] = MappingProxyType(
    {
        _A.FREE: frozenset({_A.RESERVED, _A.WITHDRAWN}),
        _A.RESERVED: frozenset({_A.FREE, _A.SOLD}),
        _A.SOLD: frozenset({_A.FREE, _A.QUARANTINED}),
        _A.QUARANTINED: frozenset({_A.FREE, _A.WITHDRAWN}),
        _A.WITHDRAWN: frozenset(),
    }
)


class IllegalMove(Exception):
    """Our own code asked for a transition that the state does not allow: a bug, never an answer."""


class Facts(msgspec.Struct, frozen=True):
    """What the welfare rules ask about an animal, or about the animals of a countable product."""

    species: str = ""
    life_stage: str = ""
    born_on: date | None = None
    weaned: bool | None = None
    carapace_cm: float | None = None
    weight_kg: float | None = None
    with_mother: bool | None = None


class Movement(msgspec.Struct, frozen=True):
    """One line of the journal."""

    product_id: UUID
    kind: str
    on_hand: int = 0
    reserved: int = 0
    quarantined: int = 0
    reason: str = ""
    order_id: UUID | None = None
    line_no: int | None = None


class Stock(msgspec.Struct):
    """How much of one product there is. `version` is the product's."""

    product_id: UUID
    on_hand: int
    reserved: int
    quarantined: int
    version: int
    changed: bool = False

    @property
    def available(self) -> int:
        return self.on_hand - self.reserved

    def touch(self) -> None:
        """The product's own row has changed."""
        self.version += 1
        self.changed = True

    def apply(self, movement: Movement) -> Movement:
        """Raises IllegalMove for what would leave more reserved than there is, or less than nothing."""
        on_hand = self.on_hand + movement.on_hand
        reserved = self.reserved + movement.reserved
        quarantined = self.quarantined + movement.quarantined
        if not 0 <= reserved <= on_hand or quarantined < 0:
            raise IllegalMove(f"{movement} on {self}")
        self.on_hand, self.reserved, self.quarantined = on_hand, reserved, quarantined
        self.version += bool(movement.on_hand)
        self.changed = True
        return movement


class Animal(msgspec.Struct):
    id: UUID
    product_id: UUID
    vendor_id: UUID
    identifier: str
    status: AnimalStatus
    facts: Facts
    version: int
    order_id: UUID | None = None
    line_no: int | None = None
    changed: bool = False

    def become(self, status: AnimalStatus, order_id: UUID | None = None, line_no: int | None = None) -> None:
        if status not in ANIMAL_MOVES[self.status]:
            raise IllegalMove(f"animal {self.id}: {self.status} to {status}")
        self.status, self.order_id, self.line_no = status, order_id, line_no
        self._touch()

    def learn(self, facts: Facts) -> None:
        """Take new facts over; the same facts change nothing."""
        if facts != self.facts:
            self.facts = facts
            self._touch()

    def _touch(self) -> None:
        self.version += 1
        self.changed = True


class Reservation(msgspec.Struct):
    """One order line. `new` rows are inserted, `changed` ones updated."""

    order_id: UUID
    line_no: int
    product_id: UUID | None
    quantity: int
    status: ReservationStatus
    question_at: datetime
    animal_id: UUID | None = None
    refusal: str = ""
    new: bool = False
    changed: bool = False

    def become(self, status: ReservationStatus) -> None:
        if status not in RESERVATION_MOVES[self.status]:
            raise IllegalMove(f"reservation {self.order_id}/{self.line_no}: {self.status} to {status}")
        self.status = status
        self.changed = True

    def ask_at(self, at: datetime) -> None:
        self.question_at = at
        self.changed = True


class Offer(msgspec.Struct, frozen=True):
    """A product as it is for sale now."""

    product_id: UUID
    vendor_id: UUID
    kind: Kind
    active: bool
    price_minor: int
    currency: str


class Shelf(msgspec.Struct):
    """Stock, animals and orders' lines, loaded and locked together; transitions keep the three in step.

    A line's movements go through here and nowhere else, so that stock, animal and journal cannot differ.
    """

    offers: dict[UUID, Offer] = msgspec.field(default_factory=dict)
    stocks: dict[UUID, Stock] = msgspec.field(default_factory=dict)
    animals: dict[UUID, Animal] = msgspec.field(default_factory=dict)
    lines: dict[UUID, list[Reservation]] = msgspec.field(default_factory=dict)
    movements: list[Movement] = msgspec.field(default_factory=list)

    def lines_of(self, order_id: UUID) -> list[Reservation]:
        return self.lines.get(order_id, [])

    def reserve(self, line: Reservation) -> None:
        line.become(ReservationStatus.RESERVED)
        self._move(line, "reserved", reserved=line.quantity)
        self._animal(line, AnimalStatus.RESERVED, hold=True)

    def commit(self, line: Reservation) -> None:
        line.become(ReservationStatus.COMMITTED)
        self._move(line, "committed", on_hand=-line.quantity, reserved=-line.quantity)
        self._animal(line, AnimalStatus.SOLD, hold=True)

    def release(self, line: Reservation) -> None:
        """Back on sale, from wherever the line was."""
        was = line.status
        line.become(ReservationStatus.RELEASED)
        if was is ReservationStatus.RESERVED:
            self._move(line, "released", reserved=-line.quantity)
        elif was is ReservationStatus.COMMITTED:
            self._move(line, "returned", on_hand=line.quantity)
        else:
            self._move(line, "quarantine_ended", on_hand=line.quantity, quarantined=-line.quantity)
        self._animal(line, AnimalStatus.FREE)

    def quarantine(self, line: Reservation) -> None:
        line.become(ReservationStatus.QUARANTINED)
        self._move(line, "quarantined", quarantined=line.quantity)
        self._animal(line, AnimalStatus.QUARANTINED, hold=True)

    def write_off(self, line: Reservation) -> None:
        """A quarantined animal that will not come back on sale: its order no longer holds it."""
        line.become(ReservationStatus.RELEASED)
        self._move(line, "animal_withdrawn", quarantined=-line.quantity)
        self._animal(line, AnimalStatus.WITHDRAWN)

    def sign(self, reason: str) -> None:
        """Write the vendor's reason to all that was moved."""
        self.movements = [msgspec.structs.replace(movement, reason=reason) for movement in self.movements]

    def move(self, movement: Movement) -> None:
        self.movements.append(self.stocks[movement.product_id].apply(movement))

    def _move(
        self, line: Reservation, kind: str, on_hand: int = 0, reserved: int = 0, quarantined: int = 0
    ) -> None:
        assert line.product_id is not None
        self.move(
            Movement(
                line.product_id, kind, on_hand, reserved, quarantined,
                order_id=line.order_id, line_no=line.line_no,
            )
        )  # fmt: skip

    def _animal(self, line: Reservation, status: AnimalStatus, *, hold: bool = False) -> None:
        if line.animal_id is not None:
            holder = (line.order_id, line.line_no) if hold else (None, None)
            self.animals[line.animal_id].become(status, *holder)
