"""An order that nothing goes wrong with, from POST to COMPLETED."""

from __future__ import annotations

import asyncio

import pytest
from shop import VENDOR, Shop, eventually, of

pytestmark = pytest.mark.usefixtures("fits")


async def test_an_order_goes_from_post_to_completed_and_everybody_sees_it_move(shop: Shop) -> None:
    customer, product = await shop.as_("customer"), await shop.product(stock=10)
    accepted = await customer.ask_for(of(product, 3))
    order = accepted.json()
    assert (accepted.status_code, order["status"]) == (202, "PENDING")
    assert accepted.headers["location"] == f"/api/v1/orders/{order['id']}"
    order = await customer.settled(order["id"])
    assert order["status"] == "CONFIRMED"
    assert order["totals"]["total"] == {"amount_minor": 4500, "currency": "EUR"}
    assert await shop.stock(product) == (7, 0)
    payment = await customer.payment(order["id"])
    assert (payment["status"], payment["captured"]["amount_minor"]) == ("CAPTURED", 4500)
    assert order["payment"] == {"id": payment["id"], "status": "CAPTURED"}
    [taken] = await shop.at_provider(order["id"])
    assert (taken["status"], taken["captured_minor"]) == ("captured", 4500)

    delivery = await shop.carried(order["id"], "assign", "pickup")
    assert delivery["status"] == "IN_PROGRESS"
    assert (await customer.settled(order["id"], "IN_DELIVERY"))["delivery"]["id"] == delivery["id"]
    await shop.carried(order["id"], "handover")
    done = await customer.settled(order["id"], "COMPLETED")
    assert done["delivery"]["status"] == "COMPLETED"
    seen = await customer.timeline(order["id"])
    expected = [
        "order.placed", "stock.reserved", "payment.authorized", "delivery.created", "payment.captured",
        "order.confirmed", "delivery.assigned", "delivery.in_progress", "order.in_delivery",
        "delivery.completed", "order.completed",
    ]  # fmt: skip
    assert seen == expected


async def test_no_courier_sees_a_delivery_before_its_order_is_confirmed(shop: Shop) -> None:
    customer, courier = await shop.as_("customer"), await shop.as_("courier")
    product = await shop.product()
    async with shop.hub.held("payments", "ledger_transactions"):
        order = await customer.place(of(product))
        await eventually(lambda: customer.delivery(order["id"]))
        assert (await courier.found("deliveries", order_id=order["id"]))["items"] == []
        [booked] = (await customer.found("deliveries", order_id=order["id"]))["items"]
        assert booked["held"]
        assert (await courier.post(f"deliveries/{booked['id']}/assign")).status_code == 404
    assert (await customer.settled(order["id"]))["status"] == "CONFIRMED"
    assert (await courier.found("deliveries", order_id=order["id"]))["items"]


async def test_an_animal_is_sold_once_and_travels_under_its_own_name(shop: Shop) -> None:
    customer, (product, [animal]) = await shop.as_("customer"), await shop.snake()
    order = await customer.place(of(product), wait="20")
    assert order["status"] == "CONFIRMED", order
    assert order["lines"][0]["animal"]["id"] == animal["id"]
    assert order["lines"][0]["animal"]["age_days"] == 400
    assert (await shop.animal(product["id"], animal["id"]))["status"] == "sold"
    again = await customer.place(of(product), wait="20")
    assert (again["status"], again["payment"]) == ("REJECTED", None)


async def test_twenty_orders_at_once_are_all_confirmed_and_the_stock_is_exact(shop: Shop) -> None:
    customer, products = await shop.as_("customer"), [await shop.product(stock=50) for _ in range(2)]
    placed = await asyncio.gather(*(customer.place(of(products[0]), of(products[1], 2)) for _ in range(20)))
    states = {(await customer.settled(order["id"]))["status"] for order in placed}
    assert states == {"CONFIRMED"}
    assert [await shop.stock(product) for product in products] == [(30, 0), (10, 0)]


async def test_the_operator_s_books_agree_with_the_provider_s(shop: Shop) -> None:
    found = await (await shop.as_("operator")).found("admin/reconcile")
    assert found["differences"] == []


async def test_a_vendor_sees_its_own_orders_and_no_others(shop: Shop) -> None:
    customer, product = await shop.as_("customer"), await shop.product()
    order = await customer.place(of(product), wait="20")
    seller, other = await shop.as_(VENDOR), await shop.as_("Meadow Hatchery")
    assert (await seller.order(order["id"]))["id"] == order["id"]
    assert order["id"] in [one["id"] for one in (await seller.found("orders"))["items"]]
    assert (await other.get(f"orders/{order['id']}")).status_code == 404
    assert order["id"] not in [one["id"] for one in (await other.found("orders"))["items"]]
