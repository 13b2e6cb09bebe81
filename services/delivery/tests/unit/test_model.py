"""Every status of a delivery against everything that can be asked of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orderhub_chassis.errors import Failure
from orderhub_delivery import errors, model
from orderhub_delivery.model import Change, Delivery, Position, Scope, Status

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
COURIER, OTHER = "courier-1", "courier-2"
VENDOR, STRANGER = UUID(int=7), UUID(int=8)


def a_delivery(status: Status = Status.CREATED, **over: Any) -> Delivery:
    """A delivery as it is found in that status, released; FAILED is after pick-up."""
    with_courier = status not in (Status.CREATED, Status.CANCELLED)
    values: dict[str, Any] = {
        "id": UUID(int=1),
        "order_id": UUID(int=2),
        "vendor_id": VENDOR,
        "customer_id": "customer-1",
        "description": "two fish",
        "pickup": b"",
        "ship_to": b"",
        "distance_km": 120.0,
        "created_at": NOW,
        "updated_at": NOW,
        "status": status,
        "version": 4,
        "courier_id": COURIER if with_courier else "",
        "picked_up": with_courier and status is not Status.ASSIGNED,
        "recipient": "Ann" if status is Status.COMPLETED else "",
        "reason_message": "van broke down" if status is Status.FAILED else "",
    }
    return Delivery(**values | over)


ASKED: dict[str, Callable[[Delivery], Change | None]] = {
    "release": lambda d: model.release(d, now=LATER),
    "assign": lambda d: model.assign(d, COURIER, now=LATER),
    "assign_other": lambda d: model.assign(d, OTHER, now=LATER),
    "pick_up": lambda d: model.pick_up(d, now=LATER),
    "hand_over": lambda d: model.hand_over(d, "Ann", now=LATER),
    "hand_over_other": lambda d: model.hand_over(d, "Bob", now=LATER),
    "fail": lambda d: model.fail(d, "van broke down", now=LATER),
    "fail_other": lambda d: model.fail(d, "road closed", now=LATER),
    "cancel": lambda d: model.cancel(d, "out of boxes", now=LATER),
    "stop": lambda d: model.stop(d, "delivery.stopped", "changed my mind", now=LATER),
    "report": lambda d: Change("kept") if model.report(d, Position(1, 2, NOW)) else None,
}
SAME = "same"
WRONG, TAKEN, GONE, HELD = errors.WrongStatus, errors.AlreadyAssigned, errors.PickedUp, errors.Held
C, A, P, D, F, RG, RD, X = (
    Status.CREATED, Status.ASSIGNED, Status.IN_PROGRESS, Status.COMPLETED, Status.FAILED, Status.RETURNING,
    Status.RETURNED, Status.CANCELLED,
)  # fmt: skip
# The new status, or SAME where it is no news, or the failure.
TABLE: dict[str, dict[Status, Any]] = {
    "release": dict.fromkeys(Status, SAME),
    "assign": {C: A, A: SAME, P: WRONG, D: WRONG, F: WRONG, RG: WRONG, RD: WRONG, X: WRONG},
    "assign_other": {C: A, A: TAKEN, P: WRONG, D: WRONG, F: WRONG, RG: WRONG, RD: WRONG, X: WRONG},
    "pick_up": {C: WRONG, A: P, P: SAME, D: WRONG, F: WRONG, RG: WRONG, RD: WRONG, X: WRONG},
    "hand_over": {C: WRONG, A: WRONG, P: D, D: SAME, F: WRONG, RG: WRONG, RD: WRONG, X: WRONG},
    "hand_over_other": {C: WRONG, A: WRONG, P: D, D: WRONG, F: WRONG, RG: WRONG, RD: WRONG, X: WRONG},
    "fail": {C: WRONG, A: F, P: F, D: WRONG, F: SAME, RG: WRONG, RD: WRONG, X: WRONG},
    "fail_other": {C: WRONG, A: F, P: F, D: WRONG, F: WRONG, RG: WRONG, RD: WRONG, X: WRONG},
    "cancel": {C: X, A: X, P: GONE, D: GONE, F: GONE, RG: GONE, RD: GONE, X: SAME},
    "stop": {C: X, A: X, P: GONE, D: GONE, F: SAME, RG: SAME, RD: SAME, X: SAME},
    "report": {C: WRONG, A: SAME, P: SAME, D: WRONG, F: WRONG, RG: WRONG, RD: WRONG, X: WRONG},
}  # fmt: skip
KINDS = {A: "delivery.assigned", P: "delivery.picked_up", D: "delivery.completed", F: "delivery.failed", X: "delivery.cancelled"}  # fmt: skip


def test_the_table_is_complete() -> None:
    assert TABLE.keys() == ASKED.keys()
    assert all(row.keys() == set(Status) for row in TABLE.values())


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("asked", ASKED)
def test_every_status_answers_everything_that_can_be_asked(asked: str, status: Status) -> None:
    delivery, expected = a_delivery(status), TABLE[asked][status]
    before = copy.copy(delivery)
    if isinstance(expected, type):
        with pytest.raises(expected):
            ASKED[asked](delivery)
        assert delivery == before
        return
    change = ASKED[asked](delivery)
    if expected is SAME:
        assert delivery.status is status
        assert delivery.version == before.version
        return
    assert change is not None
    assert (delivery.status, change.kind) == (expected, KINDS[expected])
    assert (delivery.version, delivery.updated_at, delivery.changed) == (before.version + 1, LATER, True)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("release", C), ("assign", HELD), ("cancel", HELD), ("stop", X), ("pick_up", WRONG), ("report", WRONG)],
)
def test_a_held_delivery_is_the_sagas_alone(asked: str, expected: Any) -> None:
    delivery = a_delivery(held=True)
    if isinstance(expected, type):
        with pytest.raises(expected):
            ASKED[asked](delivery)
    else:
        ASKED[asked](delivery)
        assert delivery.status is expected


def test_a_release_lets_couriers_see_it_once_and_makes_no_news() -> None:
    delivery = a_delivery(held=True)
    assert not delivery.free
    assert model.release(delivery, now=LATER) is None
    assert (delivery.free, delivery.version, delivery.changed) == (True, 5, True)
    model.release(delivery, now=LATER)
    assert delivery.version == 5


def test_a_booking_that_was_undone_is_never_released() -> None:
    delivery = a_delivery(held=True)
    model.stop(delivery, "delivery.booking_undone", "no", now=LATER)
    with pytest.raises(errors.WrongStatus):
        model.release(delivery, now=LATER)


def test_a_failure_before_pick_up_leaves_the_goods_with_the_vendor() -> None:
    delivery = a_delivery(Status.ASSIGNED)
    change = model.fail(delivery, "vendor closed", now=LATER)
    assert change == Change("delivery.failed", "vendor closed", final=True)
    assert (delivery.picked_up, delivery.reason_code) == (False, "delivery.failed")


def test_pick_up_starts_the_estimate_again() -> None:
    delivery = a_delivery(Status.ASSIGNED, distance_km=120.0)
    model.pick_up(delivery, now=LATER)
    assert delivery.picked_up
    assert delivery.eta_at == LATER + timedelta(hours=2.6)


def test_an_unknown_distance_has_no_estimate() -> None:
    delivery = a_delivery(Status.ASSIGNED, distance_km=None)
    model.pick_up(delivery, now=LATER)
    assert delivery.eta_at is None


def test_the_newest_position_stays_whatever_order_reports_come_in() -> None:
    delivery = a_delivery(Status.IN_PROGRESS)
    assert model.report(delivery, Position(1, 1, NOW))
    assert model.report(delivery, Position(2, 2, LATER))
    assert not model.report(delivery, Position(3, 3, NOW))
    assert not model.report(delivery, Position(4, 4, LATER))
    assert delivery.position == Position(2, 2, LATER)


@pytest.mark.parametrize(
    ("earlier", "failure"),
    [
        ([(Status.CREATED, {})], errors.AlreadyLive),
        ([(Status.CANCELLED, {}), (Status.CREATED, {"held": True})], errors.AlreadyLive),
        ([(Status.ASSIGNED, {})], errors.AlreadyLive),
        ([(Status.IN_PROGRESS, {})], errors.AlreadyLive),
        ([(Status.RETURNING, {})], errors.AlreadyLive),
        ([(Status.COMPLETED, {})], errors.OrderClosed),
        ([(Status.FAILED, {})], errors.OrderClosed),
        ([(Status.RETURNED, {})], errors.OrderClosed),
        ([(Status.CANCELLED, {"closed": True})], errors.OrderClosed),
        ([(Status.CANCELLED, {"closed": True}), (Status.CANCELLED, {})], errors.OrderClosed),
        ([(Status.CANCELLED, {})], None),
        ([(Status.CANCELLED, {}), (Status.CANCELLED, {})], None),
    ],
)
def test_another_delivery_is_made_only_after_all_were_called_off(
    earlier: list[tuple[Status, dict[str, Any]]], failure: type[Failure] | None
) -> None:
    deliveries = [a_delivery(status, **over) for status, over in earlier]
    if failure is None:
        model.require_another_possible(deliveries)
    else:
        with pytest.raises(failure):
            model.require_another_possible(deliveries)


def test_the_live_delivery_stands_for_its_order_and_else_the_last() -> None:
    off, live = a_delivery(Status.CANCELLED, id=UUID(int=9)), a_delivery(Status.ASSIGNED, id=UUID(int=3))
    assert model.current([off, live]) is live
    assert model.current([a_delivery(Status.CANCELLED), off]) is off


SCOPES = {
    "all": Scope(everything=True),
    "its vendor": Scope(vendor_id=VENDOR),
    "another vendor": Scope(vendor_id=STRANGER),
    "its customer": Scope(customer_id="customer-1"),
    "another customer": Scope(customer_id="customer-2"),
    "its courier": Scope(courier_id=COURIER),
    "another courier": Scope(courier_id=OTHER),
    "nobody": Scope(),
}
# (sees, manages, carries) of a delivery that is held, free, and assigned.
HOLDS = {
    "all": [(1, 1, 1), (1, 1, 1), (1, 1, 1)],
    "its vendor": [(1, 1, 0), (1, 1, 0), (1, 1, 0)],
    "another vendor": [(0, 0, 0), (0, 0, 0), (0, 0, 0)],
    "its customer": [(1, 0, 0), (1, 0, 0), (1, 0, 0)],
    "another customer": [(0, 0, 0), (0, 0, 0), (0, 0, 0)],
    "its courier": [(0, 0, 0), (1, 0, 1), (1, 0, 1)],
    "another courier": [(0, 0, 0), (1, 0, 1), (0, 0, 0)],
    "nobody": [(0, 0, 0), (0, 0, 0), (0, 0, 0)],
}


@pytest.mark.parametrize("who", SCOPES)
def test_everybody_holds_what_is_theirs_and_nothing_else(who: str) -> None:
    held, free, assigned = a_delivery(held=True), a_delivery(), a_delivery(Status.ASSIGNED)
    scope = SCOPES[who]
    found = [(scope.sees(d), scope.manages(d), scope.carries(d)) for d in (held, free, assigned)]
    assert found == [tuple(map(bool, row)) for row in HOLDS[who]]


TERMINAL = {Status.COMPLETED, Status.FAILED, Status.RETURNED, Status.CANCELLED}


@given(st.booleans(), st.lists(st.sampled_from(sorted(ASKED)), max_size=40))
def test_versions_only_grow_and_the_end_stays_the_end(held: bool, asked: list[str]) -> None:
    delivery = a_delivery(held=held, version=1)
    told, released = [1], 0
    for one in asked:
        before = copy.copy(delivery)
        try:
            change = ASKED[one](delivery)
        except Failure:
            assert delivery == before
            continue
        if one == "report":
            assert delivery.version == before.version
            continue
        released += before.held and not delivery.held
        assert delivery.version == before.version + (change is not None or before.held != delivery.held)
        assert (change is None) == (delivery.status is before.status)
        if change is not None:
            told.append(delivery.version)
        if before.status in TERMINAL:
            assert delivery.status is before.status
        if before.courier_id:
            assert delivery.courier_id == before.courier_id
        assert delivery.picked_up >= before.picked_up
        assert not (delivery.held and delivery.courier_id)
        assert not (delivery.status is Status.CANCELLED and delivery.picked_up)
    assert len(told) + released == delivery.version
