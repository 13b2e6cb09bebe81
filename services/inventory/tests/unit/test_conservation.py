"""Whatever orders sends, in whatever order and however often: nothing is oversold, lost or held twice."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from orderhub_contracts.inventory.v1 import commands_pb2 as pb
from orderhub_inventory.commands.reservations import Desk
from orderhub_inventory.model.stock import AnimalStatus, Kind, ReservationStatus

from .builders import a_desk, a_line, add_animals, add_product, commit, order_no, release, reserve, send

FISH, SALT, CATS = 7, 3, 4
HOLDING = (ReservationStatus.RESERVED, ReservationStatus.COMMITTED, ReservationStatus.QUARANTINED)

wanted_lines = st.lists(
    st.tuples(st.sampled_from(["fish", "salt", "cat"]), st.integers(1, 4), st.sets(st.integers(0, CATS))),
    min_size=1,
    max_size=3,
)
commands = st.one_of(
    st.tuples(st.just("reserve"), wanted_lines),
    st.tuples(st.just("commit"), st.none()),
    st.tuples(st.just("release"), st.sampled_from([pb.DISPOSITION_RESTOCK, pb.DISPOSITION_QUARANTINE])),
    st.tuples(st.just("extend"), st.none()),
)
# (order, step, epoch, command): the same step twice is a duplicate, a lower epoch is stale.
traffic = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(1, 3), commands), max_size=40)


class World:
    def __init__(self) -> None:
        self.desk = a_desk()
        self.products = {
            "fish": add_product(self.desk, 1, FISH),
            "salt": add_product(self.desk, 2, SALT, kind=Kind.GOOD),
            "cat": add_product(self.desk, 3, 0, kind=Kind.INDIVIDUAL),
        }
        self.cats = add_animals(self.desk, self.products["cat"], *range(CATS))
        self.opened = {id: stock.on_hand for id, stock in self.desk.shelf.stocks.items()}

    def command(self, order: int, kind: str, detail: Any) -> Any:
        id = order_no(order)
        if kind == "reserve":
            return reserve(id, *(self._line(no, *wish) for no, wish in enumerate(detail, start=1)))
        if kind == "extend":
            return pb.ExtendReservation(order_id=str(id))
        return commit(id) if kind == "commit" else release(id, detail)

    def _line(self, no: int, what: str, quantity: int, cats: set[int]) -> pb.ReserveLine:
        named = [self.cats[n] for n in cats if n < CATS]
        return a_line(no, self.products[what], 1 if what == "cat" else quantity, animals=named)


def check(desk: Desk, opened: dict[Any, int]) -> None:
    shelf = desk.shelf
    lines = [line for order in shelf.lines.values() for line in order]
    for id, stock in shelf.stocks.items():
        moved = [m for m in shelf.movements if m.product_id == id]
        assert 0 <= stock.reserved <= stock.on_hand
        assert stock.on_hand == opened[id] + sum(m.on_hand for m in moved)
        assert stock.reserved == sum(m.reserved for m in moved)
        assert stock.quarantined == sum(m.quarantined for m in moved)
        by_status = Counter(dict.fromkeys(ReservationStatus, 0))
        for line in lines:
            by_status[line.status] += line.quantity if line.product_id == id else 0
        assert stock.reserved == by_status[ReservationStatus.RESERVED]
        assert stock.quarantined == by_status[ReservationStatus.QUARANTINED]
        assert stock.on_hand == opened[id] - by_status[ReservationStatus.COMMITTED] - stock.quarantined
    holders = Counter(line.animal_id for line in lines if line.animal_id and line.status in HOLDING)
    assert set(holders.values()) <= {1}
    for animal in shelf.animals.values():
        assert holders[animal.id] == (animal.status is not AnimalStatus.FREE)
    for order in shelf.lines.values():
        assert len({line.status is ReservationStatus.FAILED for line in order}) == 1


@given(traffic)
@settings(max_examples=400, deadline=None)
def test_stock_and_animals_are_conserved(messages: list[Any]) -> None:
    world = World()
    for order, step, epoch, (kind, detail) in messages:
        send(world.desk, world.command(order, kind, detail), step=step, epoch=epoch)
        check(world.desk, world.opened)


@given(traffic, st.data())
@settings(max_examples=100, deadline=None)
def test_a_command_repeated_later_changes_nothing(messages: list[Any], data: st.DataObject) -> None:
    world, sent = World(), []
    for order, step, epoch, (kind, detail) in messages:
        sent.append((world.command(order, kind, detail), step, epoch))
        first = send(world.desk, sent[-1][0], step=step, epoch=epoch)
        again = send(world.desk, sent[-1][0], step=step, epoch=epoch)
        assert [m.payload for m in again] == [m.payload for m in first if m.saga is not None]
    if sent:
        before = [(s.on_hand, s.reserved, s.quarantined) for s in world.desk.shelf.stocks.values()]
        command, step, epoch = data.draw(st.sampled_from(sent))
        send(world.desk, command, step=step, epoch=epoch)
        assert before == [(s.on_hand, s.reserved, s.quarantined) for s in world.desk.shelf.stocks.values()]
