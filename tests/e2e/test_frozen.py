"""A service that stands still (each in its own process) while orders pass it: they wait, and a cancel waits with them."""

from __future__ import annotations

import pytest
from processes import KEYCLOAK
from shop import Shop, eventually, of

pytestmark = [pytest.mark.usefixtures("fits"), pytest.mark.parametrize("hub", [KEYCLOAK], indirect=True)]

STEPS = [("delivery", "plan"), ("inventory", "reserve"), ("payments", "authorize")]


@pytest.mark.parametrize(("service", "step"), STEPS)
async def test_an_order_waits_for_a_frozen_service_and_is_confirmed(
    shop: Shop, service: str, step: str
) -> None:
    customer, operator = await shop.as_("customer"), await shop.as_("operator")
    product = await shop.fish(stock=5)
    await shop.until_orders_can_sell(product)
    with shop.hub.frozen(service):
        order = await customer.place(of(product))

        async def waiting() -> bool:
            runs = (await operator.found("admin/sagas", order_id=order["id"]))["items"]
            return bool(runs) and runs[0]["step_name"] == step

        await eventually(waiting)
    assert (await customer.settled(order["id"]))["status"] == "CONFIRMED"
    assert len(await shop.at_provider(order["id"])) == 1


@pytest.mark.parametrize(("service", "step"), STEPS)
async def test_a_cancel_while_a_service_is_frozen_undoes_what_it_does_when_it_wakes(
    shop: Shop, service: str, step: str
) -> None:
    customer, product = await shop.as_("customer"), await shop.fish(stock=5)
    await shop.until_orders_can_sell(product)
    with shop.hub.frozen(service):
        order = await customer.place(of(product))
        answer = await customer.cancel(order["id"])
        assert (answer.status_code, answer.json()["status"]) == (202, "CANCELLING")
    order = await customer.settled(order["id"])
    assert order["status"] == "CANCELLED"
    assert await shop.stock(product) == (5, 0)
    for taken in await shop.at_provider(order["id"]):
        assert taken["status"] == "voided"


async def test_an_order_waits_for_the_saga_s_own_service(shop: Shop) -> None:
    """The answer of placing is not there before orders has it; nothing is accepted that could be lost."""
    customer, product = await shop.as_("customer"), await shop.product(stock=5)
    with shop.hub.frozen("orders"):
        answer = await customer.ask_for(of(product), idempotency_key="while-orders-sleeps")
        assert (answer.status_code, answer.json()["code"]) == (504, "gateway.timeout")
    again = await customer.ask_for(of(product), idempotency_key="while-orders-sleeps", wait="20")
    assert again.json()["status"] == "CONFIRMED"
    assert await shop.stock(product) == (4, 0)
