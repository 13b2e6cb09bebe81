"""What a client may rely on when it asks twice, waits, or asks for what is not its own."""

from __future__ import annotations

import asyncio
import secrets

import pytest
from shop import VENDOR, Shop, an_order, of

pytestmark = pytest.mark.usefixtures("fits")


# --- the same request twice -------------------------------------------------------------------------------------


async def test_a_repeated_order_is_the_same_order(shop: Shop) -> None:
    customer, product = await shop.as_("customer"), await shop.product(stock=5)
    key = secrets.token_hex(16)
    first = await customer.ask_for(of(product), idempotency_key=key)
    assert "idempotency-replayed" not in first.headers
    again = await customer.ask_for(of(product), idempotency_key=key)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert again.headers["idempotency-replayed"] == "true"
    await customer.settled(first.json()["id"])
    late = await customer.ask_for(of(product), idempotency_key=key, wait="10")
    assert (late.status_code, late.json()["status"]) == (200, "CONFIRMED")
    assert await shop.stock(product) == (4, 0)


async def test_a_key_that_comes_back_with_another_order_is_refused(shop: Shop) -> None:
    customer, product = await shop.as_("customer"), await shop.product(stock=5)
    key = secrets.token_hex(16)
    first = await customer.ask_for(of(product), idempotency_key=key)
    other = await customer.ask_for(of(product, 2), idempotency_key=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency.key_reused")
    await customer.settled(first.json()["id"])
    assert await shop.stock(product) == (4, 0)


async def test_the_same_key_of_another_customer_is_another_order(shop: Shop) -> None:
    product, key = await shop.product(stock=5), secrets.token_hex(16)
    placed = [
        (await (await shop.as_(who)).ask_for(of(product), idempotency_key=key, wait="20")).json()
        for who in ("customer", "customer2")
    ]
    assert placed[0]["id"] != placed[1]["id"]
    assert await shop.stock(product) == (3, 0)


async def test_an_order_without_a_key_is_refused_and_changes_nothing(shop: Shop) -> None:
    customer, product = await shop.as_("customer"), await shop.product(stock=5)
    answer = await customer.post("orders", an_order(of(product)))
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency.key_required")
    assert await shop.stock(product) == (5, 0)


async def test_ten_copies_of_a_request_at_once_are_one_order(shop: Shop) -> None:
    customer, product = await shop.as_("customer"), await shop.product(stock=5)
    key = secrets.token_hex(16)
    answers = await asyncio.gather(*(customer.ask_for(of(product), idempotency_key=key) for _ in range(10)))
    taken = [answer for answer in answers if answer.status_code == 202]
    refused = [answer for answer in answers if answer.status_code != 202]
    assert len({answer.json()["id"] for answer in taken}) == 1
    assert [answer.json()["code"] for answer in refused] == ["idempotency.in_flight"] * len(refused)
    assert len([answer for answer in taken if "idempotency-replayed" not in answer.headers]) == 1
    await customer.settled(taken[0].json()["id"])
    assert await shop.stock(product) == (4, 0)


async def test_a_refused_request_does_not_use_its_key_up(shop: Shop) -> None:
    customer, product = await shop.as_("customer"), await shop.product(stock=5)
    key = secrets.token_hex(16)
    wrong = await customer.ask_for({"product_id": secrets.token_hex(16)}, idempotency_key=key)
    assert 400 <= wrong.status_code < 500
    unknown = await customer.ask_for({"sku": "NOBODY-HAS-IT", "quantity": 1}, idempotency_key=key)
    assert 400 <= unknown.status_code < 500
    assert (await customer.ask_for(of(product), idempotency_key=key)).status_code == 202


# --- waiting ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("token", "status"), [("tok_ok", "CONFIRMED"), ("tok_declined", "REJECTED")])
async def test_whoever_waits_gets_the_settled_order(shop: Shop, token: str, status: str) -> None:
    customer, product = await shop.as_("customer"), await shop.product(stock=5)
    answer = await customer.ask_for(of(product), pay=token, wait="20")
    assert (answer.status_code, answer.json()["status"]) == (200, status)
    assert answer.headers["preference-applied"] == "wait=20"
    assert answer.headers["etag"] == f'"{answer.json()["version"]}"'


async def test_whoever_waits_in_vain_gets_the_accepted_order(shop: Shop) -> None:
    customer, product = await shop.as_("customer"), await shop.product(stock=5)
    async with shop.hub.held("delivery", "inbox"):
        answer = await customer.ask_for(of(product), wait="1")
        assert (answer.status_code, answer.json()["status"]) == (202, "PENDING")
        assert answer.headers["preference-applied"] == "wait=1"
    assert (await customer.settled(answer.json()["id"]))["status"] == "CONFIRMED"


# --- whose it is ------------------------------------------------------------------------------------------------


async def test_a_stranger_finds_nothing_of_somebody_elses_order(shop: Shop) -> None:
    customer, stranger = await shop.as_("customer"), await shop.as_("customer2")
    product = await shop.product(stock=5)
    order = await customer.place(of(product), wait="20")
    paths = [f"orders/{order['id']}", f"orders/{order['id']}/timeline"]
    paths += [f"payments/{order['payment']['id']}", f"deliveries/{order['delivery']['id']}"]
    for path in paths:
        assert (await customer.get(path)).status_code == 200
        assert (await stranger.get(path)).status_code == 404, path
    for path in ("orders", "payments", "deliveries"):
        listed = (await stranger.found(path))["items"]
        assert order["id"] not in [item.get("order_id", item["id"]) for item in listed]
    assert (await stranger.cancel(order["id"])).status_code == 404
    assert (await customer.order(order["id"]))["status"] == "CONFIRMED"


async def test_a_courier_cannot_touch_what_another_courier_carries(shop: Shop) -> None:
    customer, operator = await shop.as_("customer"), await shop.as_("operator")
    product = await shop.product(stock=5)
    order = await customer.place(of(product), wait="20")
    delivery = await shop.carried(order["id"], "assign")
    other = await shop.employee("courier")
    assert (await other.get(f"deliveries/{delivery['id']}")).status_code == 404
    for step in ("pickup", "handover", "assign"):
        assert (await other.post(f"deliveries/{delivery['id']}/{step}")).status_code == 404
    assert (await operator.found(f"deliveries/{delivery['id']}"))["status"] == "ASSIGNED"
    await shop.carried(order["id"], "pickup", "handover")


async def test_only_customers_order_and_only_operators_look_behind_the_counter(shop: Shop) -> None:
    product = await shop.product()
    for who in (VENDOR, "courier"):
        person = await shop.as_(who)
        assert (await person.ask_for(of(product))).status_code == 403
    for who in ("customer", VENDOR, "courier"):
        person = await shop.as_(who)
        for path in ("admin/sagas", "admin/ledger", "admin/dead-letters", "admin/reconcile", "admin/users"):
            assert (await person.get(path)).status_code == 403, (who, path)
    nobody = await shop.http.get("orders")
    assert nobody.status_code == 401
