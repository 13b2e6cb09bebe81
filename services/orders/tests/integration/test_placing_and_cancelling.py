"""Orders over the real bus and the real database; the participants answer by script."""

from __future__ import annotations

from orderhub_chassis.messages import Outgoing
from orderhub_contracts.orders.v1 import orders_pb2 as pb


async def test_an_order_is_confirmed_and_its_history_counts_without_gaps(world):
    placed = await world.place()
    assert placed.status == "PENDING"
    assert placed.totals.total.amount_minor == 12980

    order = await world.until(placed.id, "CONFIRMED")

    assert order.payment.status == "CAPTURED"
    assert order.delivery.status == "CREATED"
    assert await world.kinds(placed.id) == [
        "order.placed", "stock.reserved", "payment.authorized", "delivery.created", "payment.captured", "order.confirmed",
    ]  # fmt: skip
    assert world.participants.commands(placed.id) == [
        "PlanDelivery", "ReserveStock", "AuthorizePayment", "BookDelivery", "CapturePayment", "CommitStock",
        "ReleaseDelivery",
    ]  # fmt: skip


async def test_of_goods_alone_no_plan_is_asked(world):
    salt = world.a_product(product_id=world.new_id(), sku="SALT", kind="good")
    await world.participants.send(Outgoing(salt, world.vendor_id))
    await world.known(salt.product_id)
    placed = await world.place(lines=[pb.OrderLineRequest(sku="SALT", quantity=1)])
    await world.until(placed.id, "CONFIRMED")
    assert world.participants.commands(placed.id) == [
        "ReserveStock", "AuthorizePayment", "BookDelivery", "CapturePayment", "CommitStock", "ReleaseDelivery",
    ]  # fmt: skip


async def test_a_confirmed_order_is_cancelled_with_its_reason(world):
    placed = await world.place()
    await world.until(placed.id, "CONFIRMED")

    answer = await world.call("CancelOrder", pb.CancelOrderRequest(id=placed.id, reason="changed my mind"))
    assert answer.status == "CANCELLING"
    order = await world.until(placed.id, "CANCELLED")

    assert order.reason.code == "orders.cancelled"
    assert order.reason.message == "changed my mind"
    assert world.participants.commands(placed.id)[-3:] == ["StopDelivery", "ReversePayment", "ReleaseStock"]
    again = await world.call("CancelOrder", pb.CancelOrderRequest(id=placed.id, reason="again"))
    assert again.status == "CANCELLED"
    assert again.reason.message == "changed my mind"
