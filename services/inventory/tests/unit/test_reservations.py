"""Reserve, commit, release, extend: every status meets every command, and the batch's edge cases."""

from __future__ import annotations

import itertools
from datetime import timedelta
from uuid import UUID

import pytest
from orderhub_contracts.common.v1.common_pb2 import Money
from orderhub_contracts.inventory.v1 import commands_pb2 as pb
from orderhub_contracts.orders.v1 import replies_pb2
from orderhub_inventory.model.stock import (
    ANIMAL_MOVES,
    RESERVATION_MOVES,
    AnimalStatus,
    IllegalMove,
    Kind,
    Movement,
    Reservation,
    ReservationStatus,
    Stock,
)

from .builders import (
    ASK_AFTER,
    NOW,
    VENDOR,
    a_desk,
    a_line,
    add_animals,
    add_product,
    commit,
    held,
    order_no,
    release,
    reply,
    reserve,
    send,
)

OK, FAILED, REFUSED = replies_pb2.OUTCOME_SUCCEEDED, replies_pb2.OUTCOME_FAILED, replies_pb2.OUTCOME_REFUSED
QUARANTINE, RESTOCK = pb.DISPOSITION_QUARANTINE, pb.DISPOSITION_RESTOCK
ORDER = order_no(1)

# (status before, command) -> (outcome, status after, on_hand, reserved, quarantined); ten fish, an order for two.
TABLE = {
    ("none", "reserve"): (OK, "RESERVED", 10, 2, 0),
    ("none", "commit"): (REFUSED, "none", 10, 0, 0),
    ("none", "restock"): (OK, "none", 10, 0, 0),
    ("none", "quarantine"): (OK, "none", 10, 0, 0),
    ("RESERVED", "reserve"): (OK, "RESERVED", 10, 2, 0),
    ("RESERVED", "commit"): (OK, "COMMITTED", 8, 0, 0),
    ("RESERVED", "restock"): (OK, "RELEASED", 10, 0, 0),
    ("RESERVED", "quarantine"): (OK, "RELEASED", 10, 0, 0),
    ("COMMITTED", "reserve"): (REFUSED, "COMMITTED", 8, 0, 0),
    ("COMMITTED", "commit"): (OK, "COMMITTED", 8, 0, 0),
    ("COMMITTED", "restock"): (OK, "RELEASED", 10, 0, 0),
    ("COMMITTED", "quarantine"): (OK, "QUARANTINED", 8, 0, 2),
    ("RELEASED", "reserve"): (REFUSED, "RELEASED", 10, 0, 0),
    ("RELEASED", "commit"): (REFUSED, "RELEASED", 10, 0, 0),
    ("RELEASED", "restock"): (OK, "RELEASED", 10, 0, 0),
    ("RELEASED", "quarantine"): (OK, "RELEASED", 10, 0, 0),
    ("FAILED", "reserve"): (REFUSED, "FAILED", 10, 0, 0),
    ("FAILED", "commit"): (REFUSED, "FAILED", 10, 0, 0),
    ("FAILED", "restock"): (OK, "FAILED", 10, 0, 0),
    ("FAILED", "quarantine"): (OK, "FAILED", 10, 0, 0),
    ("QUARANTINED", "reserve"): (REFUSED, "QUARANTINED", 8, 0, 2),
    ("QUARANTINED", "commit"): (REFUSED, "QUARANTINED", 8, 0, 2),
    ("QUARANTINED", "restock"): (OK, "QUARANTINED", 8, 0, 2),
    ("QUARANTINED", "quarantine"): (OK, "QUARANTINED", 8, 0, 2),
}
STATUSES = (
    "none",
    *(status.value for status in ReservationStatus if status is not ReservationStatus.PENDING),
)
COMMANDS = ("reserve", "commit", "restock", "quarantine")


def test_the_table_is_complete() -> None:
    assert set(TABLE) == set(itertools.product(STATUSES, COMMANDS))


@pytest.mark.parametrize(("before", "command"), sorted(TABLE))
def test_every_status_meets_every_command(before: str, command: str) -> None:
    desk = a_desk()
    fish = add_product(desk, 1, 10)
    if before != "none":
        held(desk, ORDER, fish, before, quantity=2)
    commands = {
        "reserve": reserve(ORDER, a_line(1, fish, 2)),
        "commit": commit(ORDER),
        "restock": release(ORDER, RESTOCK),
        "quarantine": release(ORDER, QUARANTINE),
    }
    answer = reply(desk, commands[command])
    stock = desk.shelf.stocks[fish]
    after = next((line.status.value for line in desk.shelf.lines_of(ORDER)), "none")
    assert (answer.outcome, after, stock.on_hand, stock.reserved, stock.quarantined) == TABLE[before, command]


@pytest.mark.parametrize("status", [s for s in STATUSES if s != "none"])
def test_only_a_reserved_line_is_extended(status: str) -> None:
    desk = a_desk()
    line = held(desk, ORDER, add_product(desk, 1, 10), status)
    line.changed = False
    later = NOW + timedelta(hours=1)
    assert send(desk, pb.ExtendReservation(order_id=str(ORDER)), at=later) == []
    assert (line.question_at == later + ASK_AFTER, line.changed) == (
        (True, True) if status == "RESERVED" else (False, False)
    )


@pytest.mark.parametrize(("before", "after"), list(itertools.product(ReservationStatus, repeat=2)))
def test_a_reservation_moves_only_where_the_table_says(
    before: ReservationStatus, after: ReservationStatus
) -> None:
    line = Reservation(ORDER, 1, UUID(int=1), 1, before, NOW)
    if after in RESERVATION_MOVES[before]:
        line.become(after)
        assert line.status is after
    else:
        with pytest.raises(IllegalMove):
            line.become(after)


@pytest.mark.parametrize(("before", "after"), list(itertools.product(AnimalStatus, repeat=2)))
def test_an_animal_moves_only_where_the_table_says(before: AnimalStatus, after: AnimalStatus) -> None:
    desk = a_desk()
    (id,) = add_animals(desk, add_product(desk, 1, 0, kind=Kind.INDIVIDUAL), 1)
    animal = desk.shelf.animals[id]
    animal.status = before
    if after in ANIMAL_MOVES[before]:
        animal.become(after)
        assert (animal.status, animal.version) == (after, 2)
    else:
        with pytest.raises(IllegalMove):
            animal.become(after)


@pytest.mark.parametrize(
    "movement",
    [
        Movement(UUID(int=1), "reserved", reserved=4),
        Movement(UUID(int=1), "changed", on_hand=-3),
        Movement(UUID(int=1), "released", reserved=-2),
        Movement(UUID(int=1), "quarantine_ended", quarantined=-1),
    ],
)
def test_stock_refuses_to_be_oversold_or_negative(movement: Movement) -> None:
    stock = Stock(UUID(int=1), on_hand=3, reserved=1, quarantined=0, version=1)
    with pytest.raises(IllegalMove):
        stock.apply(movement)
    assert (stock.on_hand, stock.reserved, stock.quarantined, stock.changed) == (3, 1, 0, False)


def test_the_sixth_order_for_five_fish_fails_alone() -> None:
    desk = a_desk()
    fish, salt = add_product(desk, 1, 5), add_product(desk, 2, 100, kind=Kind.GOOD)
    outcomes = [reply(desk, reserve(order_no(n), a_line(1, fish))).outcome for n in range(6)]
    assert outcomes == [OK] * 5 + [FAILED]
    assert reply(desk, reserve(order_no(7), a_line(1, salt))).outcome == OK
    assert (desk.shelf.stocks[fish].reserved, desk.shelf.stocks[fish].available) == (5, 0)


def test_one_product_on_several_lines_counts_up() -> None:
    desk = a_desk()
    fish = add_product(desk, 1, 5)
    answer = reply(desk, reserve(ORDER, a_line(1, fish, 3), a_line(2, fish, 3)))
    assert [(line.line_no, line.code) for line in answer.reason.lines] == [(2, "out_of_stock")]
    assert desk.shelf.stocks[fish].reserved == 0
    assert reply(desk, reserve(order_no(2), a_line(1, fish, 3), a_line(2, fish, 2))).outcome == OK


def test_a_refusal_names_every_line_and_holds_nothing() -> None:
    desk = a_desk()
    fish, old, shrimp = (
        add_product(desk, 1, 5),
        add_product(desk, 2, 5, active=False),
        add_product(desk, 3, 1),
    )
    dear = Money(amount_minor=499, currency="EUR")
    lines = [
        a_line(1, fish),
        a_line(2, old),
        a_line(3, shrimp, 2),
        a_line(4, UUID(int=77)),
        a_line(5, "nonsense"),
        a_line(6, fish, price=dear),
    ]
    answer = reply(desk, reserve(ORDER, *lines))
    assert (answer.outcome, answer.reason.code) == (FAILED, "inventory.reservation_refused")
    codes = {line.line_no: line.code for line in answer.reason.lines}
    assert codes == {2: "archived", 3: "out_of_stock", 4: "not_found", 5: "not_found", 6: "price_changed"}
    assert [line.status for line in desk.shelf.lines_of(ORDER)] == ["FAILED"] * 6
    assert desk.shelf.movements == []
    assert desk.shelf.stocks[fish].reserved == 0


def test_a_price_alone_that_changed_says_so() -> None:
    desk = a_desk()
    fish = add_product(desk, 1, 5)
    for price in (Money(amount_minor=501, currency="EUR"), Money(amount_minor=500, currency="USD"), Money()):
        answer = reply(desk, reserve(UUID(int=price.amount_minor), a_line(1, fish, price=price)))
        assert answer.reason.code == "orders.price_changed"
        assert [line.code for line in answer.reason.lines] == ["price_changed"]


def test_a_product_of_another_vendor_is_not_found() -> None:
    desk = a_desk()
    fish = add_product(desk, 1, 5)
    answer = reply(desk, reserve(ORDER, a_line(1, fish), vendor=UUID(int=5)))
    assert [line.code for line in answer.reason.lines] == ["not_found"]


@pytest.mark.parametrize("lines", [[], [(1, 0)], [(1, -4)], [(1, 1), (1, 1)]])
def test_a_malformed_command_is_answered_and_changes_nothing(lines: list[tuple[int, int]]) -> None:
    desk = a_desk()
    fish = add_product(desk, 1, 5)
    answer = reply(desk, reserve(ORDER, *(a_line(no, fish, quantity) for no, quantity in lines)))
    assert (answer.outcome, answer.reason.code) == (REFUSED, "inventory.malformed_command")
    assert desk.shelf.lines_of(ORDER) == []


def test_a_repeated_command_gets_the_first_answer() -> None:
    desk = a_desk()
    fish = add_product(desk, 1, 5)
    first = reply(desk, reserve(ORDER, a_line(1, fish)))
    assert reply(desk, reserve(ORDER, a_line(1, fish))) == first
    assert desk.shelf.stocks[fish].reserved == 1


def test_a_late_reserve_after_the_release_is_stale() -> None:
    desk = a_desk()
    fish = add_product(desk, 1, 5)
    assert reply(desk, release(ORDER), step=9, epoch=2).outcome == OK
    late = reply(desk, reserve(ORDER, a_line(1, fish)), epoch=1)
    assert (late.outcome, late.reason.code) == (REFUSED, "saga.stale_epoch")
    assert desk.shelf.stocks[fish].reserved == 0


def test_a_repeated_release_puts_back_once() -> None:
    desk = a_desk()
    fish = add_product(desk, 1, 5)
    held(desk, ORDER, fish, "COMMITTED", quantity=2)
    for step in (1, 1, 2):
        assert reply(desk, release(ORDER), step=step).outcome == OK
    assert desk.shelf.stocks[fish].on_hand == 5


def test_goods_go_back_on_sale_and_animals_wait_when_an_order_comes_back() -> None:
    desk = a_desk()
    salt, cats = add_product(desk, 1, 5, kind=Kind.GOOD), add_product(desk, 2, 0, kind=Kind.INDIVIDUAL)
    (tom,) = add_animals(desk, cats, 1)
    reply(desk, reserve(ORDER, a_line(1, salt, 2), a_line(2, cats, animals=[tom])))
    reply(desk, commit(ORDER), step=1)
    answer = reply(desk, release(ORDER, QUARANTINE), step=2)
    assert answer.stock_released.disposition == "quarantine"
    assert [line.status for line in desk.shelf.lines_of(ORDER)] == ["RELEASED", "QUARANTINED"]
    assert desk.shelf.animals[tom].status is AnimalStatus.QUARANTINED
    stocks = desk.shelf.stocks
    assert (stocks[salt].on_hand, stocks[cats].on_hand, stocks[cats].quarantined) == (5, 0, 1)


def test_an_unnamed_disposition_never_puts_animals_on_sale() -> None:
    desk = a_desk()
    fish = add_product(desk, 1, 5)
    held(desk, ORDER, fish, "COMMITTED")
    reply(desk, release(ORDER, pb.DISPOSITION_UNSPECIFIED))
    assert [line.status for line in desk.shelf.lines_of(ORDER)] == ["QUARANTINED"]


def test_one_animal_goes_to_one_order() -> None:
    desk = a_desk()
    cats = add_product(desk, 1, 0, kind=Kind.INDIVIDUAL)
    (tom,) = add_animals(desk, cats, 1)
    first = reply(desk, reserve(order_no(1), a_line(1, cats, animals=[tom])))
    assert [line.animal_id for line in first.stock_reserved.lines] == [str(tom)]
    second = reply(desk, reserve(order_no(2), a_line(1, cats, animals=[tom])))
    assert [line.code for line in second.reason.lines] == ["out_of_stock"]


def test_an_animal_that_was_released_in_the_batch_is_free_for_the_next_order() -> None:
    desk = a_desk()
    cats = add_product(desk, 1, 0, kind=Kind.INDIVIDUAL)
    (tom,) = add_animals(desk, cats, 1)
    for n in (1, 2):
        assert reply(desk, reserve(order_no(n), a_line(1, cats, animals=[tom]))).outcome == OK
        assert reply(desk, release(order_no(n)), step=1).outcome == OK
    assert (desk.shelf.animals[tom].status, desk.shelf.animals[tom].version) == (AnimalStatus.FREE, 5)


def test_a_choice_leaves_alone_what_another_line_of_the_batch_wants_exactly() -> None:
    desk = a_desk()
    cats = add_product(desk, 1, 0, kind=Kind.INDIVIDUAL)
    tom, kit = add_animals(desk, cats, 1, 2)
    desk.wanted[tom] = 1
    any_cat = reply(desk, reserve(order_no(1), a_line(1, cats, animals=[tom, kit])))
    assert [line.animal_id for line in any_cat.stock_reserved.lines] == [str(kit)]
    assert reply(desk, reserve(order_no(2), a_line(1, cats, animals=[tom]))).outcome == OK


def test_lines_of_one_order_find_animals_for_all_whenever_that_is_possible() -> None:
    desk = a_desk()
    cats = add_product(desk, 1, 0, kind=Kind.INDIVIDUAL)
    a, b, c = add_animals(desk, cats, 1, 2, 3)
    # Taking the first free one for each line in turn leaves line 3 with nothing: only line 1 can take c.
    wants = {1: [b, c], 2: [a, b], 3: [a, b]}
    answer = reply(desk, reserve(ORDER, *(a_line(no, cats, animals=ids) for no, ids in wants.items())))
    got = {line.line_no: UUID(line.animal_id) for line in answer.stock_reserved.lines}
    assert got[1] == c
    assert {got[2], got[3]} == {a, b}


@pytest.mark.parametrize("what", ["nothing named", "unknown", "of another product", "two at once"])
def test_an_animal_line_without_an_animal_that_may_be_taken_is_out_of_stock(what: str) -> None:
    desk = a_desk()
    cats, dogs = add_product(desk, 1, 0, kind=Kind.INDIVIDUAL), add_product(desk, 2, 0, kind=Kind.INDIVIDUAL)
    tom, kit = add_animals(desk, cats, 1, 2)
    (rex,) = add_animals(desk, dogs, 3)
    ids = {
        "nothing named": [],
        "unknown": [UUID(int=9)],
        "of another product": [rex],
        "two at once": [tom, kit],
    }[what]
    quantity = 2 if what == "two at once" else 1
    answer = reply(desk, reserve(ORDER, a_line(1, cats, quantity, animals=ids)))
    assert [line.code for line in answer.reason.lines] == ["out_of_stock"]
    assert all(animal.status is AnimalStatus.FREE for animal in desk.shelf.animals.values())


def test_every_change_of_an_animal_is_told_with_a_higher_version() -> None:
    desk = a_desk()
    cats = add_product(desk, 1, 0, kind=Kind.INDIVIDUAL)
    (tom,) = add_animals(desk, cats, 1)
    told = []
    for step, command in enumerate(
        (reserve(ORDER, a_line(1, cats, animals=[tom])), commit(ORDER), release(ORDER, QUARANTINE))
    ):
        event, _ = send(desk, command, step=step)
        told.append((event.payload.status, event.payload.version))
        assert event.key == str(VENDOR)
    assert told == [("reserved", 2), ("sold", 3), ("quarantined", 4)]
