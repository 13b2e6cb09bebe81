"""A shelf, commands and a small driver for the pure decisions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from orderhub_chassis.consumer import Context
from orderhub_chassis.ids import CountingIds
from orderhub_chassis.messages import Envelope, Outgoing
from orderhub_chassis.participant import Standing
from orderhub_contracts.common.v1.common_pb2 import Money
from orderhub_contracts.events.v1.records_pb2 import Record, SagaRef
from orderhub_contracts.inventory.v1 import commands_pb2 as pb
from orderhub_contracts.orders.v1.replies_pb2 import SagaReply
from orderhub_inventory.commands.reservations import Desk
from orderhub_inventory.consumers import HANDLERS
from orderhub_inventory.model.stock import (
    Animal,
    AnimalStatus,
    Facts,
    Kind,
    Offer,
    Reservation,
    ReservationStatus,
    Shelf,
    Stock,
)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ASK_AFTER = timedelta(minutes=10)
VENDOR = UUID(int=0xEE)
PRICE = Money(amount_minor=500, currency="EUR")


def order_no(n: int) -> UUID:
    return UUID(int=0xA00 + n)


def a_desk() -> Desk:
    return Desk({}, Shelf(), ASK_AFTER)


def add_product(
    desk: Desk, n: int, on_hand: int, *, kind: Kind = Kind.COUNTABLE, active: bool = True
) -> UUID:
    id = UUID(int=0xB00 + n)
    desk.shelf.offers[id] = Offer(id, VENDOR, kind, active, PRICE.amount_minor, PRICE.currency)
    desk.shelf.stocks[id] = Stock(id, on_hand, 0, 0, 1)
    return id


def add_animals(desk: Desk, product_id: UUID, *numbers: int) -> list[UUID]:
    ids = [UUID(int=0xC00 + n) for n in numbers]
    for id in ids:
        desk.shelf.animals[id] = Animal(
            id, product_id, VENDOR, "", AnimalStatus.FREE, Facts("felis_catus"), 1
        )
    desk.shelf.stocks[product_id].on_hand += len(ids)
    return ids


def a_line(
    no: int, product_id: UUID | str, quantity: int = 1, *, animals: Iterable[UUID] = (), price: Money = PRICE
) -> pb.ReserveLine:
    return pb.ReserveLine(
        line_no=no,
        product_id=str(product_id),
        quantity=quantity,
        unit_price=price,
        animal_ids=map(str, animals),
    )


def reserve(order_id: UUID, *lines: pb.ReserveLine, vendor: UUID = VENDOR) -> pb.ReserveStock:
    return pb.ReserveStock(order_id=str(order_id), vendor_id=str(vendor), lines=lines)


def release(order_id: UUID, disposition: Any = pb.DISPOSITION_RESTOCK) -> pb.ReleaseStock:
    return pb.ReleaseStock(order_id=str(order_id), disposition=disposition)


def commit(order_id: UUID) -> pb.CommitStock:
    return pb.CommitStock(order_id=str(order_id))


def send(desk: Desk, command: Any, *, step: int = 0, epoch: int = 1, at: datetime = NOW) -> list[Outgoing]:
    """Through the table of handlers, as the consumer does it."""
    saga = SagaRef(order_id=command.order_id, run_id="run", step=step, epoch=epoch)
    desk.standings.setdefault(UUID(command.order_id), Standing(UUID(command.order_id)))
    record = Record(id="m", key=command.order_id, saga=saga)
    envelope = Envelope("inventory.commands.v1", 0, UUID(int=0), record, command)
    return list(HANDLERS[type(command)](desk, envelope, Context(at, CountingIds())))


def reply(desk: Desk, command: Any, **over: Any) -> SagaReply:
    (answer,) = [m.payload for m in send(desk, command, **over) if isinstance(m.payload, SagaReply)]
    return answer


def held(
    desk: Desk,
    order_id: UUID,
    product_id: UUID,
    status: str,
    *,
    animal_id: UUID | None = None,
    quantity: int = 1,
) -> Reservation:
    """An order's line that is in `status` already, with stock and animal to match."""
    line = Reservation(
        order_id, 1, product_id, quantity, ReservationStatus.PENDING, NOW + ASK_AFTER, animal_id=animal_id
    )
    shelf = desk.shelf
    shelf.lines[order_id] = [line]
    path = {
        "RESERVED": [shelf.reserve],
        "COMMITTED": [shelf.reserve, shelf.commit],
        "RELEASED": [shelf.reserve, shelf.release],
        "QUARANTINED": [shelf.reserve, shelf.commit, shelf.quarantine],
        "FAILED": [lambda failing: failing.become(ReservationStatus.FAILED)],
    }
    for move in path[status]:
        move(line)
    shelf.movements.clear()
    return line
