"""What only a person can mend: a service that fails on one order's command, before and after the money moved.

The failure is a trigger in the service's own database that refuses this one order's row.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from shop import Person, Shop, eventually, of

pytestmark = pytest.mark.usefixtures("fits")


@asynccontextmanager
async def refusing(shop: Shop, database: str, table: str, event: str, condition: str) -> AsyncIterator[None]:
    """Until the block ends, writing such a row fails as a bug would."""
    name = f"refuse_{abs(hash((table, condition)))}"
    await shop.hub.sql(
        database,
        f"create function {name}() returns trigger language plpgsql as $$ begin"
        f" if {condition} then raise exception 'a bug, for a test'; end if; return new; end $$",
    )
    await shop.hub.sql(
        database,
        f"create trigger {name} before {event} on {table} for each row execute function {name}()",
    )
    try:
        yield
    finally:
        await shop.hub.sql(database, f"drop function {name} cascade")


async def dead_letter(operator: Person, service: str, order_id: str) -> Any:
    async def there() -> Any:
        items = (await operator.found("admin/dead-letters", service=service, limit=200))["items"]
        return next((item for item in items if item["key"] == order_id and item["status"] == "dead"), None)

    return await eventually(there)


async def until_run_is(operator: Person, order_id: str, state: str) -> Any:
    async def there() -> Any:
        runs = (await operator.found("admin/sagas", order_id=order_id))["items"]
        return runs[0] if runs and runs[0]["state"] == state else None

    return await eventually(there)


async def replayed(operator: Person, letter: Any) -> None:
    shown = await operator.found(f"admin/dead-letters/{letter['id']}")
    # Messages of the key may have been parked behind it since it was listed.
    assert shown | {"parked_behind": 0} == letter | {"parked_behind": 0}
    path = f"admin/dead-letters/{letter['id']}/replay"
    tried = await operator.done(path, {"dry_run": True})
    assert tried["error"] is None, tried
    done = await operator.done(path, {})
    assert done["applied"] == tried["applied"] >= 1
    assert done["error"] is None


async def test_a_booking_that_fails_is_undone_and_the_operator_s_replay_brings_the_order_to_its_end(
    shop: Shop,
) -> None:
    customer, operator = await shop.as_("customer"), await shop.as_("operator")
    product = await shop.product(stock=5)
    condition = f"new.description like '%{product['title']}'"
    async with refusing(shop, "delivery", "deliveries", "insert", condition):
        placed = await customer.place(of(product))
        letter = await dead_letter(operator, "delivery", placed["id"])
        assert "a bug, for a test" in letter["reason"]
        assert letter["type"].endswith("BookDelivery")
        await until_run_is(operator, placed["id"], "COMPENSATING")
        assert (await customer.order(placed["id"]))["status"] == "PENDING"
    await replayed(operator, letter)
    order = await customer.settled(placed["id"])
    assert (order["status"], order["reason"]["code"]) == ("REJECTED", "orders.command_dead_lettered")
    assert order["payment"]["status"] == "VOIDED"
    assert order["delivery"]["status"] == "CANCELLED"
    assert await shop.stock(product) == (5, 0)


async def test_a_commit_that_fails_after_the_capture_waits_for_the_operator_and_goes_on(shop: Shop) -> None:
    customer, operator = await shop.as_("customer"), await shop.as_("operator")
    product = await shop.product(stock=5)
    condition = f"new.status = 'COMMITTED' and new.product_id = '{product['id']}'"
    async with refusing(shop, "inventory", "reservations", "update", condition):
        placed = await customer.place(of(product))
        run = await until_run_is(operator, placed["id"], "STUCK")
        assert run["step_name"] == "commit"
        letter = await dead_letter(operator, "inventory", placed["id"])
        order = await customer.order(placed["id"])
        assert (order["status"], order["payment"]["status"]) == ("PENDING", "CAPTURED")
    await replayed(operator, letter)
    assert (await customer.settled(placed["id"]))["status"] == "CONFIRMED"
    assert await shop.stock(product) == (4, 0)


async def test_a_compensation_that_fails_is_in_the_operator_s_queue_until_it_is_done(shop: Shop) -> None:
    customer, operator = await shop.as_("customer"), await shop.as_("operator")
    product = await shop.product(stock=5)
    condition = f"new.status = 'RELEASED' and new.product_id = '{product['id']}'"
    async with refusing(shop, "inventory", "reservations", "update", condition):
        placed = await customer.place(of(product), pay="tok_declined")
        run = await until_run_is(operator, placed["id"], "COMPENSATION_FAILED")
        listed = (await operator.found("admin/sagas", state="COMPENSATION_FAILED"))["items"]
        assert run["run_id"] in [one["run_id"] for one in listed]
        letter = await dead_letter(operator, "inventory", placed["id"])
    await replayed(operator, letter)
    order = await customer.settled(placed["id"])
    assert (order["status"], order["reason"]["code"]) == ("REJECTED", "payments.declined")
    assert await shop.stock(product) == (5, 0)


async def test_an_operator_s_retry_behind_a_dead_letter_waits_for_its_replay(shop: Shop) -> None:
    customer, operator = await shop.as_("customer"), await shop.as_("operator")
    product = await shop.product(stock=5)
    condition = f"new.status = 'COMMITTED' and new.product_id = '{product['id']}'"
    async with refusing(shop, "inventory", "reservations", "update", condition):
        placed = await customer.place(of(product))
        run = await until_run_is(operator, placed["id"], "STUCK")
        letter = await dead_letter(operator, "inventory", placed["id"])
    await operator.done(f"admin/sagas/{run['run_id']}/retry", {"reason": "mended"})

    async def parked() -> bool:
        return bool((await dead_letter(operator, "inventory", placed["id"]))["parked_behind"])

    await eventually(parked)
    await replayed(operator, letter)
    assert (await customer.settled(placed["id"]))["status"] == "CONFIRMED"
    assert await shop.stock(product) == (4, 0)


async def test_what_was_replayed_in_vain_too_often_is_refused_unless_the_operator_insists(shop: Shop) -> None:
    customer, operator = await shop.as_("customer"), await shop.as_("operator")
    product = await shop.product(stock=5)
    condition = f"new.status = 'COMMITTED' and new.product_id = '{product['id']}'"
    async with refusing(shop, "inventory", "reservations", "update", condition):
        placed = await customer.place(of(product))
        await until_run_is(operator, placed["id"], "STUCK")
        letter = await dead_letter(operator, "inventory", placed["id"])
        path = f"admin/dead-letters/{letter['id']}/replay"
        for tried in range(3):
            assert (await dead_letter(operator, "inventory", placed["id"]))["replays"] == tried
            assert "a bug, for a test" in (await operator.done(path, {}))["error"]
        refused = await operator.post(path, {})
        assert (refused.status_code, refused.json()["code"]) == (409, "dead_letters.replayed_too_often")
    assert (await operator.done(path, {"dry_run": True}))["error"] is None
    assert (await operator.post(path, {})).status_code == 409
    assert (await operator.done(path, {"force": True}))["error"] is None
    assert (await customer.settled(placed["id"]))["status"] == "CONFIRMED"
    assert await shop.stock(product) == (4, 0)


async def test_replays_that_follow_each_other_too_fast_are_told_when_to_come_again(shop: Shop) -> None:
    """The letter stays dead all the while: a dry run changes nothing."""
    customer, operator = await shop.as_("customer"), await shop.as_("operator")
    product = await shop.product(stock=5)
    condition = f"new.status = 'COMMITTED' and new.product_id = '{product['id']}'"
    async with refusing(shop, "inventory", "reservations", "update", condition):
        placed = await customer.place(of(product))
        letter = await dead_letter(operator, "inventory", placed["id"])
    path = f"admin/dead-letters/{letter['id']}/replay"
    await shop.hub.sql("inventory", "update replay_pace set full_at = now() + interval '1 hour'")
    refused = await operator.post(path, {"dry_run": True})
    assert (refused.status_code, refused.json()["code"]) == (429, "dead_letters.replayed_too_fast")
    assert 3500 < int(refused.headers["retry-after"]) <= 3600
    await shop.hub.sql("inventory", "update replay_pace set full_at = now()")
    await replayed(operator, letter)
    assert (await customer.settled(placed["id"]))["status"] == "CONFIRMED"
