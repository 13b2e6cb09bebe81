"""One part dies while orders run: the provider in the middle of a call, each service under load. `up` brings it back."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from installation import Installation
from load import Load, assert_all_is_well
from shop import Shop, eventually, of

pytestmark = [pytest.mark.full, pytest.mark.xdist_group("parts")]

SERVICES = ("orders", "inventory", "payments", "delivery", "auth", "gateway")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("parts") / "home", processes="per-service")
    try:
        installation.start()
        installation.json("seed", "--bench")
        yield installation
    finally:
        if installation.process is not None:
            installation.stop()


@pytest.fixture
async def shop(home: Installation) -> AsyncIterator[Shop]:
    async with httpx.AsyncClient(base_url=f"{home.url}/api/v1/", timeout=60, trust_env=False) as http:
        yield Shop(home, http)


def kill(home: Installation, name: str) -> None:
    """`kill -9`, and it is there again under another pid."""
    old = home.pid(name)
    os.kill(old, signal.SIGKILL)
    home.until(lambda: home.runtime.pids.get(name, old) != old)


def test_a_provider_that_is_killed_again_and_again_under_load_is_paid_once_per_order(
    home: Installation,
) -> None:
    dice = random.Random(20260917)
    with Load(home, 240, rate=30, seed=11) as load:
        home.until(lambda: load.is_placing)
        for _ in range(6):
            time.sleep(dice.uniform(0.2, 1.2))
            kill(home, "simulator")
        found = load.report()
    assert found["good"], found
    assert_all_is_well(home, load.accepted)
    home.check()


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_that_is_killed_under_load_loses_nothing(home: Installation, name: str) -> None:
    with Load(home, 150, rate=30, seed=SERVICES.index(name) + 1, deliver=name == "delivery") as load:
        home.until(lambda: load.is_placing)
        time.sleep(1.0)
        kill(home, name)
        found = load.report()
    assert found["good"], found
    assert_all_is_well(home, load.accepted)
    home.check()


async def test_a_provider_that_dies_with_the_call_in_hand_is_asked_again_under_the_same_key(
    shop: Shop,
) -> None:
    customer, product = await shop.as_("customer"), await shop.product(stock=5)
    async with shop.hub.held("simulator", "authorizations"):
        order = await customer.place(of(product, 2))
        waiting = (
            "select from pg_stat_activity where datname = 'orderhub_simulator' and wait_event_type = 'Lock'"
        )
        await eventually(lambda: shop.hub.sql("simulator", waiting))
        await asyncio.to_thread(kill, shop.hub, "simulator")
    assert (await customer.settled(order["id"], within=60))["status"] == "CONFIRMED"
    [taken] = await shop.at_provider(order["id"])
    assert taken["captured_minor"] == 3000


@pytest.mark.parametrize("victim", ["payments", "simulator"])
async def test_a_capture_whose_result_is_lost_with_the_process_is_not_done_twice(
    shop: Shop, victim: str
) -> None:
    """The provider has taken the money; whoever dies before that is written down here."""
    customer, product = await shop.as_("customer"), await shop.product(stock=5)

    async def is_captured() -> bool:
        return [one["status"] for one in await shop.at_provider(order["id"])] == ["captured"]

    async with shop.hub.held("payments", "ledger_transactions"):
        order = await customer.place(of(product, 2))
        await eventually(is_captured)
        assert (await customer.payment(order["id"]))["status"] == "AUTHORIZED"
        await asyncio.to_thread(kill, shop.hub, victim)
    assert (await customer.settled(order["id"], within=60))["status"] == "CONFIRMED"
    [taken] = await shop.at_provider(order["id"])
    assert (taken["captured_minor"], taken["refunded_minor"]) == (3000, 0)
    assert (await customer.payment(order["id"]))["captured"]["amount_minor"] == 3000
    entries = "select sum(amount_minor) filter (where amount_minor > 0) as debit from ledger_entries where order_id = $1"
    [books] = await shop.hub.sql("payments", entries, order["id"])
    assert books["debit"] == 3000


async def test_an_order_cancelled_while_the_provider_is_dead_is_undone_when_it_is_back(shop: Shop) -> None:
    customer, product = await shop.as_("customer"), await shop.product(stock=5)
    order = await customer.place(of(product), wait="20")
    assert order["status"] == "CONFIRMED"
    async with shop.hub.held("simulator", "authorizations"):
        assert (await customer.cancel(order["id"])).status_code == 202
        await asyncio.to_thread(kill, shop.hub, "simulator")
    order = await customer.settled(order["id"], "CANCELLED", within=60)
    assert order["payment"]["status"] == "REFUNDED"
    [taken] = await shop.at_provider(order["id"])
    assert taken["refunded_minor"] == taken["captured_minor"] == 1500
    assert await shop.stock(product) == (5, 0)
