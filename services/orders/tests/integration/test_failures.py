"""Each step's failure with its compensations, holds, time-outs and what an operator can do about a run."""

from __future__ import annotations

from uuid import uuid4

import pytest
from orderhub_chassis.errors import Failure
from orderhub_chassis.messages import Outgoing
from orderhub_contracts.common.v1.common_pb2 import Reason
from orderhub_contracts.delivery.v1 import commands_pb2 as delivery
from orderhub_contracts.events.v1.events_pb2 import DeliveryChanged
from orderhub_contracts.events.v1.records_pb2 import SagaRef
from orderhub_contracts.inventory.v1 import commands_pb2 as inventory
from orderhub_contracts.orders.v1 import orders_pb2 as pb
from orderhub_contracts.orders.v1 import replies_pb2
from orderhub_contracts.orders.v1.replies_pb2 import CommandDeadLettered, SagaReply
from orderhub_contracts.payments.v1 import commands_pb2 as payments
from prometheus_client import REGISTRY

OPERATOR_ONLY = ("ListSagas", pb.ListSagasRequest())


def says_no(code="x.no", outcome=replies_pb2.OUTCOME_FAILED):
    def script(envelope):
        order_id = envelope.payload.order_id
        return [SagaReply(order_id=order_id, outcome=outcome, reason=Reason(code=code, message="No."))]

    return script


@pytest.mark.parametrize(
    ("command", "undone"),
    [
        (delivery.PlanDelivery, []),
        (inventory.ReserveStock, ["ReleaseStock"]),
        (payments.AuthorizePayment, ["ReversePayment", "ReleaseStock"]),
        (delivery.BookDelivery, ["CancelBooking", "ReversePayment", "ReleaseStock"]),
        (payments.CapturePayment, ["CancelBooking", "ReversePayment", "ReleaseStock"]),
    ],
)
async def test_a_step_that_says_no_rejects_the_order_and_undoes_what_was_sent(world, command, undone):
    world.participants.scripts[command] = says_no("x.no")
    placed = await world.place()
    order = await world.until(placed.id, "REJECTED")
    assert order.reason.code == "x.no"
    sent = world.participants.commands(placed.id)
    assert sent[sent.index(command.__name__) + 1 :] == undone


async def test_a_step_without_an_answer_is_asked_again_under_the_same_epoch(world):
    answers = iter([[], None])

    def once_silent(envelope):
        if next(answers) == []:
            return []
        return world.participants.default(envelope)

    world.participants.scripts[inventory.ReserveStock] = once_silent
    placed = await world.place()
    await world.fast_forward(placed.id)
    await world.until(placed.id, "CONFIRMED")
    asked = [e for e in world.participants.asked if isinstance(e.payload, inventory.ReserveStock)]
    assert len(asked) == 2
    assert {e.record.saga.epoch for e in asked} == {1}


async def test_a_held_order_goes_on_when_an_operator_releases_it(world):
    world.participants.scripts[delivery.PlanDelivery] = says_no("weather", replies_pb2.OUTCOME_HELD)
    placed = await world.place()
    order = await world.until(placed.id, "ON_HOLD")
    assert order.reason.code == "weather"
    await world.call("ReleaseOrder", pb.ReleaseOrderRequest(id=placed.id), world.operator)
    order = await world.until(placed.id, "CONFIRMED")
    assert not order.reason.code


async def test_a_held_order_is_rejected_by_an_operator_and_cannot_be_rejected_twice(world):
    world.participants.scripts[delivery.PlanDelivery] = says_no("weather", replies_pb2.OUTCOME_HELD)
    placed = await world.place()
    await world.until(placed.id, "ON_HOLD")
    await world.call("RejectOrder", pb.RejectOrderRequest(id=placed.id, reason="too cold"), world.operator)
    order = await world.until(placed.id, "REJECTED")
    assert (order.reason.code, order.reason.message) == ("orders.rejected_by_operator", "too cold")
    with pytest.raises(Failure) as failure:
        await world.call("RejectOrder", pb.RejectOrderRequest(id=placed.id), world.operator)
    assert failure.value.code == "orders.not_on_hold"


async def test_a_compensation_that_fails_waits_for_an_operator_who_retries_it(world):
    world.participants.scripts[payments.AuthorizePayment] = says_no()
    world.participants.scripts[payments.ReversePayment] = says_no("stuck")
    placed = await world.place()
    saga = await world.saga_in(placed.id, "COMPENSATION_FAILED")
    assert saga.step_name == "authorize"
    del world.participants.scripts[payments.ReversePayment]
    action = pb.ActOnSagaRequest(run_id=saga.run_id, action=pb.SAGA_ACTION_RETRY, reason="mended")
    await world.call("ActOnSaga", action, world.operator)
    await world.until(placed.id, "REJECTED")
    assert world.participants.commands(placed.id)[-1] == "ReleaseStock"


async def test_an_operator_skips_a_failed_compensation(world):
    world.participants.scripts[payments.AuthorizePayment] = says_no()
    world.participants.scripts[payments.ReversePayment] = says_no("stuck")
    placed = await world.place()
    saga = await world.saga_in(placed.id, "COMPENSATION_FAILED")
    await world.call(
        "ActOnSaga", pb.ActOnSagaRequest(run_id=saga.run_id, action=pb.SAGA_ACTION_SKIP), world.operator
    )
    await world.until(placed.id, "REJECTED")
    assert "saga.operator" in await world.kinds(placed.id)


async def test_a_dead_lettered_command_before_the_pivot_rejects_the_order(world):
    def give_up(envelope):
        return []

    world.participants.scripts[inventory.ReserveStock] = give_up
    placed = await world.place()
    asked = await world.asked(placed.id, inventory.ReserveStock)
    lost = CommandDeadLettered(
        order_id=placed.id, consumer="inventory", dead_letter_id=str(uuid4()), reason="broken"
    )
    await world.participants.send(Outgoing(lost, placed.id, saga=asked.record.saga))
    order = await world.until(placed.id, "REJECTED")
    assert order.reason.code == "orders.command_dead_lettered"


async def test_late_and_repeated_replies_change_nothing(world):
    placed = await world.place()
    await world.until(placed.id, "CONFIRMED")
    before = await world.kinds(placed.id)
    asked = [e for e in world.participants.asked if e.key == placed.id]
    for envelope in reversed(asked):
        for reply in world.participants.default(envelope):
            await world.participants.send(Outgoing(reply, placed.id, saga=envelope.saga))
    marker = await world.place()
    await world.until(marker.id, "CONFIRMED")
    assert await world.kinds(placed.id) == before


async def test_a_reply_of_an_unknown_run_is_dropped(world):
    placed = await world.place()
    await world.until(placed.id, "CONFIRMED")
    stranger = SagaRef(order_id=placed.id, run_id=str(uuid4()), step=1, epoch=9)
    reply = SagaReply(order_id=placed.id, outcome=replies_pb2.OUTCOME_FAILED)
    await world.participants.send(Outgoing(reply, placed.id, saga=stranger))
    marker = await world.place()
    await world.until(marker.id, "CONFIRMED")
    assert (await world.until(placed.id, "CONFIRMED")).status == "CONFIRMED"


async def test_a_capture_that_is_not_known_waits_and_a_cancel_runs_after_it(world):
    world.participants.scripts[payments.CapturePayment] = says_no("unknown", replies_pb2.OUTCOME_UNKNOWN)
    placed = await world.place()
    saga = await world.saga_in(placed.id, "PIVOT_UNKNOWN")
    assert saga.step_name == "capture"
    await world.call("CancelOrder", pb.CancelOrderRequest(id=placed.id, reason="late"))
    asked = await world.asked(placed.id, payments.CapturePayment)
    for reply in world.participants.default(asked):
        await world.participants.send(Outgoing(reply, placed.id, saga=asked.saga))
    order = await world.until(placed.id, "CANCELLED")
    assert order.reason.message == "late"
    assert world.participants.commands(placed.id)[-3:] == ["StopDelivery", "ReversePayment", "ReleaseStock"]


async def test_the_courier_that_was_faster_lets_the_order_go_on(world):
    placed = await world.place()
    await world.until(placed.id, "CONFIRMED")
    world.participants.scripts[delivery.StopDelivery] = says_no(
        "delivery.picked_up", replies_pb2.OUTCOME_REFUSED
    )
    await world.call("CancelOrder", pb.CancelOrderRequest(id=placed.id, reason="too late?"))
    order = await world.until(placed.id, "CONFIRMED", "IN_DELIVERY")
    assert order.reason.code == "orders.too_late_to_cancel"
    assert "ReversePayment" not in world.participants.commands(placed.id)


async def test_pick_up_and_hand_over_complete_the_order_and_then_it_is_too_late_to_cancel(world):
    placed = await world.place()
    await world.until(placed.id, "CONFIRMED")
    await world.delivery_is(placed.id, "IN_PROGRESS", 1000, picked_up=True)
    await world.until(placed.id, "IN_DELIVERY")
    with pytest.raises(Failure) as failure:
        await world.call("CancelOrder", pb.CancelOrderRequest(id=placed.id))
    assert failure.value.code == "orders.too_late_to_cancel"
    await world.delivery_is(placed.id, "COMPLETED", 1001, picked_up=True)
    await world.until(placed.id, "COMPLETED")


async def test_a_delivery_that_finally_failed_cancels_the_order_into_quarantine(world):
    placed = await world.place()
    await world.until(placed.id, "CONFIRMED")
    await world.delivery_is(placed.id, "IN_PROGRESS", 1000, picked_up=True)
    await world.until(placed.id, "IN_DELIVERY")
    await world.delivery_is(placed.id, "FAILED", 1001, picked_up=True, final=True)
    await world.until(placed.id, "CANCELLED")
    released = await world.asked(placed.id, inventory.ReleaseStock)
    assert released.payload.disposition == inventory.DISPOSITION_QUARANTINE


async def test_an_older_fact_about_a_delivery_is_dropped(world):
    placed = await world.place()
    await world.until(placed.id, "CONFIRMED")
    await world.delivery_is(placed.id, "COMPLETED", 1001, picked_up=True)
    await world.delivery_is(placed.id, "IN_PROGRESS", 1000, picked_up=True)
    order = await world.until(placed.id, "COMPLETED")
    assert order.delivery.status == "COMPLETED"


async def test_inventory_is_told_to_keep_the_reservation_of_a_live_run(world):
    world.participants.scripts[payments.AuthorizePayment] = lambda envelope: []
    placed = await world.place()
    await world.asked(placed.id, payments.AuthorizePayment)
    await world.participants.send(Outgoing(inventory.ReservationDue(order_id=placed.id, epoch=1), placed.id))
    assert await world.asked(placed.id, inventory.ExtendReservation)


async def test_inventory_is_told_to_give_up_the_reservation_of_an_unknown_order(world):
    stranger = str(uuid4())
    await world.participants.send(Outgoing(inventory.ReservationDue(order_id=stranger, epoch=1), stranger))
    released = await world.asked(stranger, inventory.ReleaseStock)
    assert released.saga.compensation
    db = world.service.chassis.db

    async def both_heard() -> bool:
        """The question, and inventory's answer to what no run has asked."""
        return await db.fetchval("select sum(admitted) from inbox where topic = 'orders.replies.v1'") == 2

    await world.eventually(both_heard)
    assert await db.fetch("select reason from dead_letters") == []


async def test_operators_alone_see_sagas(world):
    with pytest.raises(Failure) as failure:
        await world.call(*OPERATOR_ONLY)
    assert failure.value.kind == "forbidden"
    placed = await world.place()
    await world.until(placed.id, "CONFIRMED")
    page = await world.call("ListSagas", pb.ListSagasRequest(order_id=placed.id), world.operator)
    assert [(s.definition, s.state) for s in page.items] == [("place_order", "SUCCEEDED")]
    event = DeliveryChanged(order_id=placed.id)
    assert event.order_id == placed.id


async def test_a_run_and_its_steps_are_measured_once_they_are_committed(world):
    def sample(name, **labels):
        return REGISTRY.get_sample_value(name, labels) or 0

    def figures():
        return (
            sample("orderhub_orders_sagas_total", definition="place_order", state="SUCCEEDED"),
            sample("orderhub_orders_step_seconds_count", definition="place_order", step="capture"),
            sample("orderhub_orders_placed_total"),
        )

    before = figures()
    placed = await world.place()
    await world.until(placed.id, "CONFIRMED")
    assert tuple(now - then for now, then in zip(figures(), before, strict=True)) == (1, 1, 1)
