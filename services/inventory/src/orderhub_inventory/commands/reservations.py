"""What orders asks of the stock: reserve, commit, release, extend. Pure decisions over a loaded shelf."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from orderhub_chassis import ids, participant
from orderhub_chassis.consumer import Context
from orderhub_chassis.messages import Envelope, Outgoing
from orderhub_chassis.participant import Standing
from orderhub_contracts.common.v1.common_pb2 import LineReason, Reason
from orderhub_contracts.inventory.v1 import commands_pb2 as pb
from orderhub_contracts.orders.v1 import replies_pb2
from orderhub_contracts.orders.v1.replies_pb2 import SagaReply

from orderhub_inventory import events
from orderhub_inventory.model.stock import AnimalStatus, Kind, Offer, Reservation, ReservationStatus, Shelf

REFUSED = "inventory.reservation_refused"
PRICE_CHANGED = "orders.price_changed"
MALFORMED = "inventory.malformed_command"
NOT_RESERVED = "inventory.not_reserved"
ENDED = "inventory.reservation_ended"

ReplyOrMessages = SagaReply | Iterable[Outgoing | SagaReply]


class Desk(msgspec.Struct):
    """All that a batch of commands names. `wanted` counts the lines of the batch that take one animal only."""

    standings: dict[UUID, Standing]
    shelf: Shelf
    ask_after: timedelta
    wanted: Counter[UUID] = msgspec.field(default_factory=Counter)


class Wish(msgspec.Struct, frozen=True):
    """One line of a ReserveStock."""

    line_no: int
    product_id: UUID | None
    quantity: int
    price: tuple[int, str]
    animal_ids: tuple[UUID, ...]


def parse_id(text: str) -> UUID | None:
    try:
        return ids.parse(text)
    except ValueError:
        return None


def wishes_of(command: pb.ReserveStock) -> list[Wish]:
    return [
        Wish(
            line.line_no,
            parse_id(line.product_id),
            line.quantity,
            (line.unit_price.amount_minor, line.unit_price.currency),
            tuple(id for id in map(parse_id, line.animal_ids) if id),
        )
        for line in command.lines
    ]


def reserve_stock(desk: Desk, envelope: Envelope, context: Context) -> ReplyOrMessages:
    """All lines or nothing. What earlier commands of the batch took is gone for this one."""
    command: pb.ReserveStock = envelope.payload
    wishes = wishes_of(command)
    if problem := _malformed(wishes):
        return participant.refused(command.order_id, MALFORMED, problem)
    order_id = ids.parse(command.order_id)
    if known := desk.shelf.lines_of(order_id):
        return _again(command, known)
    animals = _match_animals(desk, wishes)
    refusals = _refusals(desk.shelf, parse_id(command.vendor_id), wishes, animals)
    lines = [_line(order_id, wish, context, desk) for wish in wishes]
    desk.shelf.lines[order_id] = lines
    if refusals:
        return _fail(command.order_id, lines, refusals)
    return _hold(desk.shelf, command.order_id, lines, animals)


def _malformed(wishes: Sequence[Wish]) -> str:
    numbers = Counter(wish.line_no for wish in wishes)
    if not wishes:
        return "there are no lines"
    if repeated := [no for no, count in numbers.items() if count > 1]:
        return f"line {repeated[0]} is there twice"
    if wrong := [wish.line_no for wish in wishes if wish.quantity < 1]:
        return f"line {wrong[0]}: the quantity is below 1"
    return ""


def _line(order_id: UUID, wish: Wish, context: Context, desk: Desk) -> Reservation:
    return Reservation(
        order_id, wish.line_no, wish.product_id, wish.quantity, ReservationStatus.PENDING,
        context.now + desk.ask_after, new=True,
    )  # fmt: skip


def _again(command: pb.ReserveStock, lines: Sequence[Reservation]) -> SagaReply:
    """The order was here before under another step: what it holds is the answer, what it gave back is gone."""
    if all(line.status is ReservationStatus.RESERVED for line in lines):
        return _reserved(command.order_id, lines)
    states = ", ".join(sorted({line.status for line in lines}))
    return participant.refused(command.order_id, ENDED, f"the order's lines are {states}")


def _fail(order_id: str, lines: Sequence[Reservation], refusals: dict[int, tuple[str, str]]) -> SagaReply:
    for line in lines:
        line.become(ReservationStatus.FAILED)
        line.refusal = refusals.get(line.line_no, ("", ""))[0]
    only_price = all(code == "price_changed" for code, _ in refusals.values())
    return participant.failed(
        order_id,
        Reason(
            code=PRICE_CHANGED if only_price else REFUSED,
            message="; ".join(f"line {no}: {message}" for no, (_, message) in sorted(refusals.items())),
            lines=[
                LineReason(line_no=no, code=code, message=message)
                for no, (code, message) in sorted(refusals.items())
            ],
        ),
    )


def _hold(
    shelf: Shelf, order_id: str, lines: Sequence[Reservation], animals: dict[int, UUID]
) -> Iterator[Outgoing | SagaReply]:
    for line in lines:
        line.animal_id = animals.get(line.line_no)
        shelf.reserve(line)
    yield from _animal_events(shelf, lines)
    yield _reserved(order_id, lines)


def _reserved(order_id: str, lines: Sequence[Reservation]) -> SagaReply:
    reserved = [pb.ReservedLine(line_no=line.line_no, animal_id=str(line.animal_id or "")) for line in lines]
    return _succeeded(order_id, stock_reserved=pb.StockReserved(lines=reserved))


def _succeeded(order_id: str, **result: Any) -> SagaReply:
    return SagaReply(order_id=order_id, outcome=replies_pb2.OUTCOME_SUCCEEDED, **result)


def _animal_events(shelf: Shelf, lines: Iterable[Reservation]) -> Iterator[Outgoing]:
    return (events.animal_changed(shelf.animals[line.animal_id]) for line in lines if line.animal_id)


def _refusals(
    shelf: Shelf, vendor_id: UUID | None, wishes: Sequence[Wish], animals: dict[int, UUID]
) -> dict[int, tuple[str, str]]:
    """Per line (code, words). Lines of one product count up."""
    refusals: dict[int, tuple[str, str]] = {}
    taken: Counter[UUID] = Counter()
    for wish in wishes:
        offer = shelf.offers.get(wish.product_id) if wish.product_id else None
        if offer is None or offer.vendor_id != vendor_id:
            refusals[wish.line_no] = ("not_found", "there is no such product of this vendor")
            continue
        refusal = _not_for_sale(offer, wish) or _short(shelf, offer, wish, taken, animals)
        if refusal:
            refusals[wish.line_no] = refusal
        else:
            taken[offer.product_id] += wish.quantity
    return refusals


def _not_for_sale(offer: Offer, wish: Wish) -> tuple[str, str] | None:
    if not offer.active:
        return "archived", "the product is not sold any more"
    if (offer.price_minor, offer.currency) != wish.price:
        return "price_changed", f"the price is {offer.price_minor} {offer.currency} (minor units) by now"
    return None


def _short(
    shelf: Shelf, offer: Offer, wish: Wish, taken: Counter[UUID], animals: dict[int, UUID]
) -> tuple[str, str] | None:
    if offer.kind is Kind.INDIVIDUAL:
        if wish.quantity == 1 and wish.line_no in animals:
            return None
        return "out_of_stock", "none of the animals that may be taken is free"
    left = shelf.stocks[offer.product_id].available - taken[offer.product_id]
    if wish.quantity > left:
        return "out_of_stock", f"{wish.quantity} asked for, {left} available"
    return None


def _match_animals(desk: Desk, wishes: Sequence[Wish]) -> dict[int, UUID]:
    """One free animal per line (maximum bipartite matching, Kuhn's augmenting paths), so that a line with a choice
    never takes the only animal of another line of the order. Among equals one that no order of the batch wants
    exactly, then the lowest id. A line that names no animal gets none: nobody has judged what it might get.
    """
    choices = {wish.line_no: _free_choices(desk, wish) for wish in wishes if wish.animal_ids}
    holder: dict[UUID, int] = {}

    def assign(line_no: int, visited: set[UUID]) -> bool:
        for id in choices[line_no]:
            if id not in visited:
                visited.add(id)
                if id not in holder or assign(holder[id], visited):
                    holder[id] = line_no
                    return True
        return False

    for line_no in sorted(choices, key=lambda no: (len(choices[no]), no)):
        assign(line_no, set())
    return {line_no: id for id, line_no in holder.items()}


def _free_choices(desk: Desk, wish: Wish) -> list[UUID]:
    animals = (desk.shelf.animals.get(id) for id in set(wish.animal_ids))
    free = [a.id for a in animals if a and a.status is AnimalStatus.FREE and a.product_id == wish.product_id]
    return sorted(free, key=lambda id: (desk.wanted[id], id))


def commit_stock(desk: Desk, envelope: Envelope, context: Context) -> ReplyOrMessages:
    command: pb.CommitStock = envelope.payload
    lines = desk.shelf.lines_of(ids.parse(command.order_id))
    if not lines:
        return participant.refused(command.order_id, NOT_RESERVED, "nothing is reserved for this order")
    if wrong := {line.status for line in lines} - {ReservationStatus.RESERVED, ReservationStatus.COMMITTED}:
        return participant.refused(command.order_id, NOT_RESERVED, f"lines are {', '.join(sorted(wrong))}")
    return _commit(desk.shelf, command.order_id, lines)


def _commit(shelf: Shelf, order_id: str, lines: Sequence[Reservation]) -> Iterator[Outgoing | SagaReply]:
    reserved = [line for line in lines if line.status is ReservationStatus.RESERVED]
    for line in reserved:
        shelf.commit(line)
    yield from _animal_events(shelf, reserved)
    yield _succeeded(order_id, stock_committed=pb.StockCommitted())


def release_stock(desk: Desk, envelope: Envelope, context: Context) -> Iterator[Outgoing | SagaReply]:
    """Releasing nothing succeeds. Only an explicit RESTOCK puts sold animals back on sale."""
    command: pb.ReleaseStock = envelope.payload
    travelled = command.disposition != pb.DISPOSITION_RESTOCK
    shelf = desk.shelf
    held = [
        line
        for line in shelf.lines_of(ids.parse(command.order_id))
        if line.status in (ReservationStatus.RESERVED, ReservationStatus.COMMITTED)
    ]
    for line in held:
        if travelled and line.status is ReservationStatus.COMMITTED and _is_alive(shelf, line):
            shelf.quarantine(line)
        else:
            shelf.release(line)
    yield from _animal_events(shelf, held)
    word = "quarantine" if travelled else "restock"
    yield _succeeded(command.order_id, stock_released=pb.StockReleased(disposition=word))


def _is_alive(shelf: Shelf, line: Reservation) -> bool:
    assert line.product_id is not None
    return shelf.offers[line.product_id].kind is not Kind.GOOD


def extend_reservation(desk: Desk, envelope: Envelope, context: Context) -> list[Outgoing]:
    """Orders says that its run is alive: the next question comes a whole period later."""
    command: pb.ExtendReservation = envelope.payload
    for line in desk.shelf.lines_of(ids.parse(command.order_id)):
        if line.status is ReservationStatus.RESERVED:
            line.ask_at(context.now + desk.ask_after)
    return []
