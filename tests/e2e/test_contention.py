"""Many want the same thing at once."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from shop import Shop, eventually, of

pytestmark = pytest.mark.usefixtures("fits")


async def test_one_animal_that_ten_customers_order_at_once_goes_to_exactly_one(shop: Shop) -> None:
    product, [animal] = await shop.snake()
    customers = await asyncio.gather(*(shop.newcomer() for _ in range(10)))
    line = {"animal_id": animal["id"]}
    placed = await asyncio.gather(*(customer.place(line, wait="30") for customer in customers))
    assert Counter(order["status"] for order in placed) == {"CONFIRMED": 1, "REJECTED": 9}
    for customer, order in zip(customers, placed, strict=True):
        if order["status"] == "CONFIRMED":
            assert order["lines"][0]["animal"]["id"] == animal["id"]
        else:
            assert [line["code"] for line in order["reason"]["lines"]] == ["out_of_stock"]
            assert order["payment"] is None
            assert await customer.payment(order["id"]) is None
    assert (await shop.animal(product["id"], animal["id"]))["status"] == "sold"


async def test_five_pieces_and_twenty_orders_at_once_are_five_sales(shop: Shop) -> None:
    customer, product = await shop.as_("customer"), await shop.product(stock=5)
    placed = await asyncio.gather(*(customer.place(of(product), wait="30") for _ in range(20)))
    assert Counter(order["status"] for order in placed) == {"CONFIRMED": 5, "REJECTED": 15}
    assert await shop.stock(product) == (0, 0)


async def test_three_animals_and_eight_orders_at_once_are_three_sales_of_different_animals(
    shop: Shop,
) -> None:
    product, animals = await shop.snake(3)
    customer = await shop.as_("customer")
    placed = await asyncio.gather(*(customer.place(of(product), wait="30") for _ in range(8)))
    sold = [order["lines"][0]["animal"]["id"] for order in placed if order["status"] == "CONFIRMED"]
    assert sorted(sold) == sorted(animal["id"] for animal in animals)
    assert Counter(order["status"] for order in placed) == {"CONFIRMED": 3, "REJECTED": 5}


async def test_two_lines_of_one_animal_product_get_two_animals(shop: Shop) -> None:
    product, animals = await shop.snake(2)
    order = await (await shop.as_("customer")).place(of(product), of(product), wait="20")
    assert order["status"] == "CONFIRMED"
    assert {line["animal"]["id"] for line in order["lines"]} == {animal["id"] for animal in animals}


async def test_orders_and_the_vendor_s_own_changes_of_the_stock_never_lose_one_another(shop: Shop) -> None:
    customer, seller = await shop.as_("customer"), await shop.as_("Scales and Tails")
    product = await shop.product(stock=100)
    changes = [
        seller.done(f"products/{product['id']}/stock", {"delta": 1, "reason": "found"}) for _ in range(10)
    ]
    orders = [customer.place(of(product, 2), wait="30") for _ in range(10)]
    done = await asyncio.gather(*orders, *changes)
    assert {order["status"] for order in done[:10]} == {"CONFIRMED"}
    assert await shop.stock(product) == (90, 0)


async def test_the_same_refund_asked_for_ten_times_at_once_is_paid_once(shop: Shop) -> None:
    customer, operator = await shop.as_("customer"), await shop.as_("operator")
    product = await shop.product()
    order = await customer.place(of(product, 2), wait="20")
    payment = await customer.payment(order["id"])
    body = {"amount": {"amount_minor": 2000, "currency": "EUR"}, "reason": "one was broken"}
    asked = [
        operator.post(f"payments/{payment['id']}/refunds", body, idempotency_key=f"refund-{order['id']}-{n}")
        for n in range(10)
    ]
    answers = await asyncio.gather(*asked)
    assert sorted(answer.status_code for answer in answers) == [202] + 9 * [422]
    payment = await eventually_refunded(shop, order["id"])
    assert payment["refunded"]["amount_minor"] == 2000
    [taken] = await shop.at_provider(order["id"])
    assert taken["refunded_minor"] == 2000
    cancelled = (await customer.cancel(order["id"], prefer="wait=20")).json()
    assert (cancelled["status"], cancelled["payment"]["status"]) == ("CANCELLED", "REFUNDED")
    [taken] = await shop.at_provider(order["id"])
    assert (taken["captured_minor"], taken["refunded_minor"]) == (3000, 3000)


async def eventually_refunded(shop: Shop, order_id: str) -> dict[str, object]:
    customer = await shop.as_("customer")

    async def refunded() -> dict[str, object] | None:
        payment = await customer.payment(order_id)
        return payment if payment["status"] == "PARTIALLY_REFUNDED" else None

    return dict(await eventually(refunded))
