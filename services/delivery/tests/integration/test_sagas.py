"""The saga commands over a real bus: book, release, undo, stop; twice, late, out of order; and the plan's decisions."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from orderhub_chassis.consumer import Context
from orderhub_chassis.errors import Failure
from orderhub_chassis.ids import uuid7
from orderhub_chassis.messages import Envelope
from orderhub_chassis.service import Surroundings
from orderhub_contracts.common.v1.common_pb2 import AnimalFacts
from orderhub_contracts.delivery.v1 import commands_pb2 as commands
from orderhub_contracts.delivery.v1 import delivery_pb2 as pb
from orderhub_contracts.events.v1.records_pb2 import Record
from orderhub_contracts.orders.v1 import replies_pb2
from orderhub_delivery import consumers, welfare
from orderhub_delivery.app import Service, build
from orderhub_delivery.settings import Settings

from .conftest import (
    COURIER,
    CUSTOMER,
    OPERATOR,
    PICKUP,
    SHIP_TO,
    VENDOR,
    VENDOR_ID,
    Api,
    Orders,
    a_booking,
    an_api,
    step,
    stop,
)

SUCCEEDED, FAILED, REFUSED = (
    replies_pb2.OUTCOME_SUCCEEDED,
    replies_pb2.OUTCOME_FAILED,
    replies_pb2.OUTCOME_REFUSED,
)


def a_plan(order_id: str, *lines: commands.PlanLine) -> commands.PlanDelivery:
    return commands.PlanDelivery(
        order_id=order_id, vendor_id=VENDOR_ID, pickup=PICKUP, ship_to=SHIP_TO, lines=lines
    )


def an_individual(*ages: int) -> commands.PlanLine:
    today = datetime.now(UTC).date()
    candidates = [
        AnimalFacts(
            animal_id=f"pup-{age}", species="canis_familiaris", life_stage="juvenile", weaned=True,
            born_on=str(today - timedelta(days=age)),
        )
        for age in ages
    ]  # fmt: skip
    return commands.PlanLine(line_no=1, kind="individual", quantity=1, candidates=candidates)


GOODS = commands.PlanLine(line_no=1, kind="good", quantity=3)


async def test_a_booking_is_held_until_it_is_released(
    service: Service, orders: Orders, api: Api, sql: asyncpg.Connection
) -> None:
    order_id = str(uuid7())
    (booked,) = await orders.ask((a_booking(order_id), step(order_id, 4)))
    assert (booked.outcome, booked.delivery.status, booked.delivery.version) == (SUCCEEDED, "CREATED", 1)
    created = await orders.told(order_id, "delivery.created")
    assert (created.delivery_id, created.version) == (booked.delivery.delivery_id, 1)
    assert (await api.call(COURIER, "ListDeliveries", pb.ListDeliveriesRequest())).items == []
    seen = await api.call(VENDOR, "GetDelivery", pb.GetDeliveryRequest(id=created.delivery_id))
    assert seen.held
    assert [(leg.from_city, leg.to_city, leg.status) for leg in seen.legs] == [
        ("Barneveld", "Utrecht", "PLANNED")
    ]
    assert 31 < seen.legs[0].distance_km < 33
    assert seen.eta > seen.created_at
    (released,) = await orders.ask((commands.ReleaseDelivery(order_id=order_id), step(order_id, 7)))
    assert (released.outcome, released.delivery.version) == (SUCCEEDED, 2)
    (free,) = (await api.call(COURIER, "ListDeliveries", pb.ListDeliveriesRequest())).items
    assert (free.id, free.held) == (created.delivery_id, False)


async def test_a_command_that_comes_twice_gets_the_first_answer(
    service: Service, orders: Orders, sql: asyncpg.Connection
) -> None:
    order_id = str(uuid7())
    booking = (a_booking(order_id), step(order_id, 4))
    await orders.send(booking, booking)
    (first,) = await orders.ask(booking)
    again = await orders.ask((commands.ReleaseDelivery(order_id=order_id), step(order_id, 7)), booking)
    assert [reply.delivery.version for reply in again] == [2, 1]
    assert {r.SerializeToString() for s, r in orders.replies if s.step == 4} == {first.SerializeToString()}
    assert await sql.fetchval("select count(*) from deliveries") == 1


async def test_a_booking_that_comes_after_its_undoing_is_stale(
    service: Service, orders: Orders, sql: asyncpg.Connection
) -> None:
    order_id = str(uuid7())
    undo = (commands.CancelBooking(order_id=order_id), step(order_id, 4, epoch=2, compensation=True))
    undone, late = await orders.ask(undo, (a_booking(order_id), step(order_id, 4)))
    assert (undone.outcome, undone.HasField("delivery")) == (SUCCEEDED, False)
    assert (late.outcome, late.reason.code) == (REFUSED, "saga.stale_epoch")
    assert await sql.fetchval("select count(*) from deliveries") == 0


async def test_undoing_a_booking_ends_it_and_nothing_releases_it_any_more(
    service: Service, orders: Orders, api: Api
) -> None:
    order_id = str(uuid7())
    delivery_id = await orders.book(order_id, release=False)
    undo = (commands.CancelBooking(order_id=order_id), step(order_id, 4, epoch=2, compensation=True))
    (undone,) = await orders.ask(undo)
    assert (undone.outcome, undone.delivery.status, undone.delivery.picked_up) == (
        SUCCEEDED,
        "CANCELLED",
        False,
    )
    assert (await orders.told(order_id, "delivery.cancelled")).version == 2
    (late,) = await orders.ask((commands.ReleaseDelivery(order_id=order_id), step(order_id, 7)))
    assert (late.outcome, late.reason.code) == (REFUSED, "saga.stale_epoch")
    (newer,) = await orders.ask((commands.ReleaseDelivery(order_id=order_id), step(order_id, 7, epoch=3)))
    assert (newer.outcome, newer.reason.code, newer.delivery.status) == (
        REFUSED,
        "delivery.wrong_status",
        "CANCELLED",
    )
    (again,) = await orders.ask((a_booking(order_id), step(order_id, 4, run="other", epoch=3)))
    assert (again.outcome, again.reason.code) == (REFUSED, "delivery.order_closed")
    found = await api.call(CUSTOMER, "GetDelivery", pb.GetDeliveryRequest(id=delivery_id))
    assert (found.status, found.reason.code) == ("CANCELLED", "delivery.booking_undone")


async def test_a_release_of_what_was_never_booked_is_refused(service: Service, orders: Orders) -> None:
    order_id = str(uuid7())
    (reply,) = await orders.ask((commands.ReleaseDelivery(order_id=order_id), step(order_id, 7)))
    assert (reply.outcome, reply.reason.code) == (REFUSED, "delivery.order_not_found")


async def test_a_stop_before_pick_up_ends_the_delivery(service: Service, orders: Orders, api: Api) -> None:
    order_id = str(uuid7())
    delivery_id = await orders.book(order_id)
    await api.call(COURIER, "AssignDelivery", pb.AssignDeliveryRequest(id=delivery_id))
    (stopped,) = await orders.ask(stop(order_id))
    assert (stopped.outcome, stopped.delivery.status, stopped.delivery.picked_up) == (
        SUCCEEDED,
        "CANCELLED",
        False,
    )
    told = await orders.told(order_id, "delivery.cancelled")
    assert (told.detail, told.courier_id) == ("changed my mind", COURIER.user_id)
    with pytest.raises(Failure) as refusal:
        await api.call(COURIER, "PickUpDelivery", pb.PickUpDeliveryRequest(id=delivery_id))
    assert refusal.value.code == "delivery.wrong_status"


async def test_a_courier_who_was_faster_than_the_stop_goes_on(
    service: Service, orders: Orders, api: Api
) -> None:
    order_id = str(uuid7())
    delivery_id = await orders.book(order_id)
    await api.call(COURIER, "AssignDelivery", pb.AssignDeliveryRequest(id=delivery_id))
    await api.call(COURIER, "PickUpDelivery", pb.PickUpDeliveryRequest(id=delivery_id))
    (refused,) = await orders.ask(stop(order_id))
    assert (refused.outcome, refused.reason.code) == (REFUSED, "delivery.picked_up")
    assert (refused.delivery.status, refused.delivery.picked_up) == ("IN_PROGRESS", True)
    done = await api.call(
        COURIER, "HandOverDelivery", pb.HandOverDeliveryRequest(id=delivery_id, recipient="Ann")
    )
    assert done.status == "COMPLETED"
    (late,) = await orders.ask(stop(order_id, run="cancel-2", epoch=3))
    assert (late.outcome, late.reason.code) == (REFUSED, "delivery.picked_up")


async def test_stop_and_pick_up_at_once_agree_on_who_was_first(
    service: Service, orders: Orders, api: Api
) -> None:
    for _ in range(5):
        order_id = str(uuid7())
        delivery_id = await orders.book(order_id)
        await api.call(COURIER, "AssignDelivery", pb.AssignDeliveryRequest(id=delivery_id))
        picked, (stopped,) = await asyncio.gather(
            api.call(COURIER, "PickUpDelivery", pb.PickUpDeliveryRequest(id=delivery_id)),
            orders.ask(stop(order_id)),
            return_exceptions=True,
        )
        found = await api.call(OPERATOR, "GetDelivery", pb.GetDeliveryRequest(id=delivery_id))
        if isinstance(picked, Failure):
            assert (picked.code, stopped.outcome, found.status) == (
                "delivery.wrong_status",
                SUCCEEDED,
                "CANCELLED",
            )
        else:
            assert (stopped.reason.code, found.status) == ("delivery.picked_up", "IN_PROGRESS")


async def test_stopping_what_never_was_or_has_failed_succeeds(
    service: Service, orders: Orders, api: Api
) -> None:
    (nothing,) = await orders.ask(stop(str(uuid7())))
    assert (nothing.outcome, nothing.HasField("delivery")) == (SUCCEEDED, False)
    order_id = str(uuid7())
    delivery_id = await orders.book(order_id)
    await api.call(COURIER, "AssignDelivery", pb.AssignDeliveryRequest(id=delivery_id))
    await api.call(COURIER, "PickUpDelivery", pb.PickUpDeliveryRequest(id=delivery_id))
    await api.call(COURIER, "FailDelivery", pb.FailDeliveryRequest(id=delivery_id, reason="van broke down"))
    failed = await orders.told(order_id, "delivery.failed")
    assert (failed.final, failed.picked_up, failed.detail) == (True, True, "van broke down")
    (stopped,) = await orders.ask(stop(order_id))
    assert (stopped.outcome, stopped.delivery.status, stopped.delivery.picked_up) == (
        SUCCEEDED,
        "FAILED",
        True,
    )


async def test_no_delivery_follows_a_stopped_order(service: Service, orders: Orders, api: Api) -> None:
    order_id = str(uuid7())
    delivery_id = await orders.book(order_id)
    await api.call(VENDOR, "CancelDelivery", pb.CancelDeliveryRequest(id=delivery_id))
    (stopped,) = await orders.ask(stop(order_id))
    assert (stopped.outcome, stopped.delivery.status) == (SUCCEEDED, "CANCELLED")
    with pytest.raises(Failure) as refusal:
        await api.call(VENDOR, "CreateDelivery", pb.CreateDeliveryRequest(order_id=order_id))
    assert refusal.value.code == "delivery.order_closed"


async def test_commands_of_one_order_in_one_batch_are_decided_in_turn(
    service: Service, orders: Orders, sql: asyncpg.Connection
) -> None:
    order_id = str(uuid7())
    replies = await orders.ask(
        (a_plan(order_id, GOODS), step(order_id, 1)),
        (a_booking(order_id), step(order_id, 4)),
        (commands.ReleaseDelivery(order_id=order_id), step(order_id, 7)),
        stop(order_id),
        (commands.ReleaseDelivery(order_id=order_id), step(order_id, 7, run="late")),
    )
    assert [r.outcome for r in replies] == [SUCCEEDED, SUCCEEDED, SUCCEEDED, SUCCEEDED, REFUSED]
    row = await sql.fetchrow("select status, version, closed from deliveries")
    assert tuple(row) == ("CANCELLED", 3, True)
    (first, last) = [e for e in orders.events if e.order_id == order_id]
    assert [(e.kind, e.version) for e in (first, last)] == [
        ("delivery.created", 1),
        ("delivery.cancelled", 3),
    ]


async def test_plans_are_decided_and_kept_where_animals_are_concerned(
    service: Service, orders: Orders, sql: asyncpg.Connection
) -> None:
    pup, choice, goods = (str(uuid7()) for _ in range(3))
    refused, chosen, plain = await orders.ask(
        (a_plan(pup, an_individual(42)), step(pup, 1)),
        (a_plan(choice, an_individual(42, 70)), step(choice, 1)),
        (a_plan(goods, GOODS), step(goods, 1)),
    )
    assert (refused.outcome, refused.reason.code) == (FAILED, "EU-AGE-02")
    assert [list(line.animal_ids) for line in chosen.delivery_planned.allowed] == [["pup-70"]]
    assert (plain.outcome, plain.delivery_planned.decision_id) == (SUCCEEDED, "")
    rows = {str(r["order_id"]): r for r in await sql.fetch("select * from welfare_decisions")}
    assert {order: row["verdict"] for order, row in rows.items()} == {pup: "refuse", choice: "allow"}
    assert str(rows[choice]["id"]) == chosen.delivery_planned.decision_id
    assert json.loads(rows[choice]["inputs"])["plan"]["destination"]["country"] == "NL"


async def test_a_rule_that_is_added_by_a_file_is_obeyed(
    settings: Settings, orders: Orders, tmp_path: Path
) -> None:
    (tmp_path / "late-pups.toml").write_text(
        """
        [[rules]]
        id = "NL-AGE-09"
        jurisdictions = ["NL"]
        applies_to = "destination"
        phases = ["book"]
        checks = [{ groups = ["dog"], predicate = "age", min = 80, unit = "d" }]
        severity = "block"
        confidence = "S"
        citation = "a citation"
        source = "a source"
        valid_from = 2020-01-01
        text = "Dogs under 80 days stay."
        """
    )
    order_id = str(uuid7())
    async with build(settings.model_copy(update={"rules_folder": tmp_path}), Surroundings()):
        (reply,) = await orders.ask((a_plan(order_id, an_individual(70)), step(order_id, 1)))
    assert (reply.outcome, reply.reason.code) == (FAILED, "NL-AGE-09")


async def test_a_command_that_speaks_of_another_order_is_a_dead_letter(
    service: Service, orders: Orders, eventually: Any
) -> None:
    order_id, other = str(uuid7()), str(uuid7())
    await orders.send((a_booking(other), step(order_id, 4)))
    await orders.book(str(uuid7()))

    async def dead() -> bool:
        return bool(orders.dead)

    await eventually(dead)
    assert (orders.dead[0].order_id, orders.dead[0].consumer) == (order_id, "delivery")


async def test_a_second_service_takes_over_where_the_first_stopped(
    settings: Settings, orders: Orders
) -> None:
    order_id = str(uuid7())
    async with build(settings, Surroundings()):
        await orders.book(order_id)
    async with build(settings, Surroundings()) as second, an_api(second) as api:
        (stopped,) = await orders.ask(stop(order_id))
        assert stopped.outcome == SUCCEEDED
        assert len((await api.call(CUSTOMER, "ListDeliveries", pb.ListDeliveriesRequest())).items) == 1


async def test_two_hundred_plans_cost_two_statements(service: Service) -> None:
    spec = consumers.spec(welfare.load_rules())
    envelopes = []
    for _ in range(200):
        order_id = str(uuid7())
        record = Record(key=order_id, type="orderhub.delivery.v1.PlanDelivery", saga=step(order_id, 1))
        command = a_plan(order_id, an_individual(42, 70))
        envelopes.append(Envelope("delivery.commands.v1", 0, uuid7(), record, command))
    context = Context(datetime.now(UTC), uuid7)

    async def work(tx: Any) -> list[str]:
        statements: list[str] = []
        for name in ("fetch", "execute"):
            setattr(tx, name, _counted(getattr(tx, name), statements))
        state = await spec.load(tx, envelopes, context)
        assert len(statements) == 1
        for envelope in envelopes:
            list(spec.handlers[commands.PlanDelivery](state, envelope, context))
        await spec.save(tx, state, context)
        await tx.flush()
        return statements

    statements = await service.chassis.db.run(work)
    assert [statement.split()[0] for statement in statements] == ["select", "with"]


def _counted(call: Any, statements: list[str]) -> Any:
    async def counted(statement: str, *arguments: Any) -> Any:
        statements.append(statement)
        return await call(statement, *arguments)

    return counted
