"""Cancel in every state, in the middle of every step, and in a race with the courier."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from shop import VENDOR, Person, Shop, eventually, of

pytestmark = pytest.mark.usefixtures("fits")


async def assert_undone(shop: Shop, order: Any, product: Any, stock: int) -> None:
    """Money and stock are back, nothing is on its way."""
    assert order["status"] == "CANCELLED"
    assert (order["reason"]["code"], order["reason"]["message"]) == ("orders.cancelled", "changed my mind")
    assert await shop.stock(product) == (stock, 0)
    for taken in await shop.at_provider(order["id"]):
        assert taken["status"] in ("voided", "captured")
        assert taken["captured_minor"] == taken["refunded_minor"]
    payment, delivery = order["payment"], order["delivery"]
    assert payment is None or payment["status"] in ("VOIDED", "REFUNDED")
    assert delivery is None or delivery["status"] == "CANCELLED"


# --- in every state ---------------------------------------------------------------------------------------------


async def test_cancelling_a_confirmed_order_gives_money_and_stock_back_once(shop: Shop) -> None:
    customer, (product, [animal]) = await shop.as_("customer"), await shop.snake()
    order = await customer.place(of(product), wait="20")
    assert order["status"] == "CONFIRMED", order
    first = await customer.cancel(order["id"], prefer="wait=20")
    assert (first.status_code, first.json()["status"]) == (200, "CANCELLED")
    cancelled = first.json()
    assert cancelled["payment"]["status"] == "REFUNDED"
    assert cancelled["delivery"]["status"] == "CANCELLED"
    assert cancelled["reason"]["message"] == "changed my mind"
    assert (await shop.animal(product["id"], animal["id"]))["status"] == "free"
    [taken] = await shop.at_provider(order["id"])
    assert (taken["captured_minor"], taken["refunded_minor"]) == (9900, 9900)
    again = await customer.cancel(order["id"])
    assert (again.status_code, again.json()) == (200, cancelled)
    assert await customer.timeline(order["id"]) == [
        "order.placed", "stock.reserved", "payment.authorized", "delivery.created", "payment.captured",
        "order.confirmed", "order.cancelling", "delivery.cancelled", "payment.refunded", "stock.released",
        "order.cancelled",
    ]  # fmt: skip


async def test_a_cancelled_animal_is_sold_to_the_next_customer(shop: Shop) -> None:
    customer, (product, [animal]) = await shop.as_("customer"), await shop.snake()
    first = await customer.place(of(product), wait="20")
    await customer.cancel(first["id"], prefer="wait=20")
    await shop.until_orders_knows(animal["id"], "free")
    second = await (await shop.as_("customer2")).place(of(product), wait="20")
    assert (second["status"], second["lines"][0]["animal"]["id"]) == ("CONFIRMED", animal["id"])


async def test_an_order_on_its_way_or_handed_over_is_too_late_to_cancel(shop: Shop) -> None:
    customer, product = await shop.as_("customer"), await shop.product(stock=5)
    order = await customer.place(of(product), wait="20")
    await shop.carried(order["id"], "assign", "pickup")
    await customer.settled(order["id"], "IN_DELIVERY")
    refused = await customer.cancel(order["id"])
    assert (refused.status_code, refused.json()["code"]) == (409, "orders.too_late_to_cancel")
    await shop.carried(order["id"], "handover")
    await customer.settled(order["id"], "COMPLETED")
    refused = await customer.cancel(order["id"])
    assert (refused.status_code, refused.json()["code"]) == (409, "orders.too_late_to_cancel")
    assert (await customer.order(order["id"]))["status"] == "COMPLETED"
    assert await shop.stock(product) == (4, 0)


async def test_a_rejected_order_cannot_be_cancelled(shop: Shop) -> None:
    customer, product = await shop.as_("customer"), await shop.product(stock=5)
    order = await customer.place(of(product), pay="tok_declined", wait="20")
    refused = await customer.cancel(order["id"])
    assert (refused.status_code, refused.json()["code"]) == (409, "orders.not_cancellable")
    assert (await customer.order(order["id"]))["status"] == "REJECTED"


async def test_vendor_and_operator_may_cancel_and_others_do_not_even_see_the_order(shop: Shop) -> None:
    customer, product = await shop.as_("customer"), await shop.product(stock=5)
    for who in (VENDOR, "operator"):
        order = await customer.place(of(product), wait="20")
        for stranger in ("customer2", "Meadow Hatchery"):
            assert (await (await shop.as_(stranger)).cancel(order["id"])).status_code == 404
        answer = await (await shop.as_(who)).cancel(order["id"], prefer="wait=20")
        assert answer.json()["status"] == "CANCELLED"
    assert await shop.stock(product) == (5, 0)


# --- in the middle of every step --------------------------------------------------------------------------------


PLAN, RESERVE = ("plan", "delivery", "inbox"), ("reserve", "inventory", "reservations")
AUTHORIZE, BOOK = ("authorize", "payments", "payments"), ("book", "delivery", "deliveries")
CAPTURE = ("capture", "payments", "ledger_transactions")
COMMIT, RELEASE = ("commit", "inventory", "reservations"), ("release", "delivery", "deliveries")


@asynccontextmanager
async def stopped_at(shop: Shop, product: Any, *places: tuple[str, str, str]) -> AsyncIterator[Any]:
    """An order whose saga stands at the last of these steps: (step, database and table that its participant waits for).

    It is led there from one held table to the next, where an earlier step needs the same table.
    """
    customer, operator = await shop.as_("customer"), await shop.as_("operator")
    order: Any = None
    async with AsyncExitStack() as holding:
        for step, database, table in places:
            following = AsyncExitStack()
            await following.enter_async_context(shop.hub.held(database, table))
            await holding.aclose()
            holding.push_async_callback(following.aclose)
            order = order or await customer.place(of(product, 2))
            await eventually(functools.partial(is_at, operator, order["id"], step))
        yield order


async def is_at(operator: Person, order_id: str, step: str) -> bool:
    runs = (await operator.found("admin/sagas", order_id=order_id))["items"]
    return bool(runs) and runs[0]["step_name"] == step


@pytest.mark.parametrize(
    "places",
    [[PLAN], [RESERVE], [AUTHORIZE], [BOOK], [CAPTURE], [BOOK, COMMIT], [CAPTURE, RELEASE]],
    ids=["plan", "reserve", "authorize", "book", "capture", "commit", "release"],
)
async def test_a_cancel_in_the_middle_of_a_step_waits_for_it_and_then_undoes_everything(
    shop: Shop, places: list[tuple[str, str, str]]
) -> None:
    customer, operator = await shop.as_("customer"), await shop.as_("operator")
    product = await shop.fish(stock=5)
    async with stopped_at(shop, product, *places) as placed:
        answer = await customer.cancel(placed["id"])
        assert (answer.status_code, answer.json()["status"]) == (202, "CANCELLING")
        again = await customer.cancel(placed["id"])
        assert (again.status_code, again.json()["status"]) == (202, "CANCELLING")
    order = await customer.settled(placed["id"])
    await assert_undone(shop, order, product, 5)
    runs = (await operator.found("admin/sagas", order_id=placed["id"]))["items"]
    past_the_pivot = places[-1] in (CAPTURE, COMMIT, RELEASE)
    assert len(runs) == (2 if past_the_pivot else 1)
    states = sorted(run["state"] for run in runs)
    assert states == (["SUCCEEDED", "SUCCEEDED"] if past_the_pivot else ["FAILED"])


async def test_a_cancel_while_the_provider_stands_still_ends_with_nothing_held(shop: Shop) -> None:
    customer, product = await shop.as_("customer"), await shop.product(stock=5)
    with shop.hub.frozen("simulator"):
        placed = await customer.place(of(product, 2))
        answer = await customer.cancel(placed["id"])
        assert (answer.status_code, answer.json()["status"]) == (202, "CANCELLING")
    order = await customer.settled(placed["id"], within=60)
    await assert_undone(shop, order, product, 5)


async def test_cancels_right_after_their_orders_all_end_cancelled_with_everything_back(shop: Shop) -> None:
    customer, product = await shop.as_("customer"), await shop.product(stock=50)

    async def place_and_cancel(number: int) -> Any:
        order = await customer.place(of(product))
        await asyncio.sleep(number * 0.01)  # spreads the cancels over the steps
        answer = await customer.cancel(order["id"])
        assert answer.status_code in (200, 202), answer.text
        return await customer.settled(order["id"], "CANCELLED")

    for order in await asyncio.gather(*map(place_and_cancel, range(20))):
        await assert_undone(shop, order, product, 50)


# --- in a race with the courier ---------------------------------------------------------------------------------


async def test_a_cancel_and_a_pick_up_at_once_have_one_winner_and_everybody_agrees_on_it(shop: Shop) -> None:
    customer, courier = await shop.as_("customer"), await shop.as_("courier")
    product = await shop.product(stock=50)
    winners = []
    for number in range(8):
        order = await customer.place(of(product), wait="20")
        delivery = await shop.carried(order["id"], "assign")
        racing = [
            _after(0.004 * number, customer.cancel(order["id"])),
            courier.post(f"deliveries/{delivery['id']}/pickup"),
        ]
        cancel, pick_up = await asyncio.gather(*racing)
        winners.append(await _winner(shop, order["id"], cancel, pick_up))
    completed = winners.count("courier")
    assert await shop.stock(product) == (50 - completed, 0)
    assert "courier" in winners  # the last cancels come far behind


async def _after(seconds: float, request: Any) -> Any:
    await asyncio.sleep(seconds)
    return await request


async def _winner(shop: Shop, order_id: str, cancel: Any, pick_up: Any) -> str:
    customer = await shop.as_("customer")
    order = await customer.settled(order_id, "CANCELLED", "IN_DELIVERY")
    payment = await customer.payment(order_id)
    if order["status"] == "CANCELLED":
        assert pick_up.status_code == 409, pick_up.text
        assert cancel.status_code in (200, 202)
        assert payment["status"] == "REFUNDED"
        return "customer"
    assert pick_up.status_code == 200, pick_up.text
    if cancel.status_code == 409:
        assert cancel.json()["code"] == "orders.too_late_to_cancel"
    else:  # accepted, and then the courier was faster all the same
        assert order["reason"]["code"] == "orders.too_late_to_cancel"
    assert payment["status"] == "CAPTURED"
    await shop.carried(order_id, "handover")
    assert (await customer.settled(order_id, "COMPLETED"))["delivery"]["status"] == "COMPLETED"
    return "courier"


async def test_a_courier_who_is_faster_than_an_accepted_cancel_brings_the_order_back(shop: Shop) -> None:
    """The cancel is accepted while delivery cannot be reached, and the courier picks up before it is heard."""
    customer, product = await shop.as_("customer"), await shop.product(stock=5)
    order = await customer.place(of(product), wait="20")
    await shop.carried(order["id"], "assign")
    async with shop.hub.held("delivery", "inbox"):
        answer = await customer.cancel(order["id"])
        assert (answer.status_code, answer.json()["status"]) == (202, "CANCELLING")
        await shop.carried(order["id"], "pickup")
    back = await customer.settled(order["id"], "IN_DELIVERY")
    assert back["reason"]["code"] == "orders.too_late_to_cancel"
    assert "order.too_late_to_cancel" in await customer.timeline(order["id"])
    await shop.carried(order["id"], "handover")
    done = await customer.settled(order["id"], "COMPLETED")
    assert done["payment"]["status"] == "CAPTURED"
    assert await shop.stock(product) == (4, 0)


# --- a delivery that fails for good -----------------------------------------------------------------------------


async def test_a_failed_delivery_pays_back_and_its_animal_waits_in_quarantine_until_the_vendor_releases_it(
    shop: Shop,
) -> None:
    customer, seller = await shop.as_("customer"), await shop.as_(VENDOR)
    product, [animal] = await shop.snake()
    order = await customer.place(of(product), wait="20")
    await shop.carried(order["id"], "assign", "pickup")
    await customer.settled(order["id"], "IN_DELIVERY")
    await shop.carried(order["id"], "fail")
    order = await customer.settled(order["id"], "CANCELLED")
    assert order["payment"]["status"] == "REFUNDED"
    assert order["delivery"]["status"] == "FAILED"
    assert (await shop.animal(product["id"], animal["id"]))["status"] == "quarantined"
    refused = await customer.place(of(product), wait="20")
    assert refused["status"] == "REJECTED"
    stranger = await (await shop.as_("Meadow Hatchery")).post(f"animals/{animal['id']}/release")
    assert stranger.status_code == 404
    assert (await seller.done(f"animals/{animal['id']}/release"))["status"] == "free"
    await shop.until_orders_knows(animal["id"], "free")
    assert (await customer.place(of(product), wait="20"))["status"] == "CONFIRMED"


async def test_goods_of_a_delivery_that_failed_before_pick_up_go_back_on_sale(shop: Shop) -> None:
    customer, product = await shop.as_("customer"), await shop.product(stock=5)
    order = await customer.place(of(product, 2), wait="20")
    await shop.carried(order["id"], "assign", "fail")
    order = await customer.settled(order["id"], "CANCELLED")
    assert order["payment"]["status"] == "REFUNDED"
    assert await shop.stock(product) == (5, 0)


async def test_a_delivery_that_was_called_off_leaves_the_order_and_another_one_brings_it(shop: Shop) -> None:
    customer, seller = await shop.as_("customer"), await shop.as_(VENDOR)
    product = await shop.product(stock=5)
    order = await customer.place(of(product), wait="20")
    first = await shop.carried(order["id"])
    again = {"order_id": order["id"]}
    taken = await seller.post("deliveries", again, idempotency_key=f"early-{order['id']}")
    assert taken.status_code == 409
    await seller.done(f"deliveries/{first['id']}/cancel", {"reason": "the van broke down"})
    assert (await customer.order(order["id"]))["status"] == "CONFIRMED"
    second = await seller.done("deliveries", again, idempotency_key=f"second-{order['id']}")
    assert second["id"] != first["id"]
    await shop.carried(order["id"], "assign", "pickup", "handover")
    done = await customer.settled(order["id"], "COMPLETED")
    assert done["delivery"] == {"id": second["id"], "status": "COMPLETED"}
