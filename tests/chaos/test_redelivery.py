"""Duplicate, late and reordered delivery of every command, reply and event between the real services.

The bus may deliver twice; here it also delivers late, before what was sent earlier, and copies under new ids, which no
inbox knows: there only run, step, epoch and version tell that a message is an old one.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from mischief import Mischief
from orderhub_chassis.bus.postgres import PostgresBus

from conftest import World

pytestmark = pytest.mark.xdist_group("redelivery")

COPIES_COUNT = "messages.sent"
"""Copies are messages that nobody sent, so this sum does not come out even."""
NO_AUTH = "people.customers"
TOKENS = ("tok_ok", "tok_ok", "tok_ok", "tok_declined", "tok_flaky", "tok_timeout", "tok_capture_timeout", "tok_capture_flaky")  # fmt: skip
ENDS = {"CONFIRMED", "IN_DELIVERY", "COMPLETED", "REJECTED", "CANCELLED"}


class Run:
    """Some orders of every kind, with cancels and a courier among them, while the bus does what it likes."""

    def __init__(self, world: World, mischief: Mischief, dice: random.Random, eventually: Any) -> None:
        self.world = world
        self.mischief = mischief
        self.dice = dice
        self.eventually = eventually
        self.placed: list[str] = []

    async def orders(self, count: int) -> None:
        world, dice = self.world, self.dice
        plenty, scarce, snakes = await world.product(10_000), await world.product(8), await world.snakes(4)
        await asyncio.gather(*(self._one(plenty, scarce, snakes, dice.uniform(0, 2.0)) for _ in range(count)))

    async def _one(self, plenty: str, scarce: str, snakes: str, after: float) -> None:
        await asyncio.sleep(after)
        lines = [(plenty, self.dice.randint(1, 3))]
        if self.dice.random() < 0.4:
            lines.append((scarce, 1))
        if self.dice.random() < 0.2:
            lines.append((snakes, 1))
        order = await self.world.place(*lines, token=self.dice.choice(TOKENS))
        self.placed.append(order)
        if self.dice.random() < 0.3:
            await asyncio.sleep(self.dice.uniform(0, 1.0))
            await self.world.cancel(order)

    async def courier(self) -> None:
        while True:
            await self.world.carry(*self.dice.choice([("Assign",), ("Assign", "PickUp"), ("PickUp", "HandOver"), ("PickUp", "Fail")]))  # fmt: skip
            await asyncio.sleep(0.1)

    async def settle(self) -> None:
        await self.eventually(self._is_settled, within=60)
        await self.eventually(self._is_quiet, within=60)

    async def _is_settled(self) -> bool:
        return not await self.world.open_runs()

    async def _is_quiet(self) -> bool:
        return self.mischief.rests and await self.world.is_at_rest() and not await self.world.open_runs()


@pytest.fixture
async def mischief(monkeypatch: pytest.MonkeyPatch, publish: Any, seed: int) -> AsyncIterator[Mischief]:
    made = Mischief(publish, random.Random(seed))

    async def instead(bus: PostgresBus, batches: Any) -> None:
        await made.publish(bus, batches)

    monkeypatch.setattr(PostgresBus, "publish", instead)
    yield made
    await made.stop()


def runs() -> Iterator[Any]:
    """(seed, whether deadlines pass): one for every change, the others for `make test-full`.

    ORDERHUB_TEST_SEED=a,b,c are others.
    """
    seeds = [int(seed) for seed in os.environ.get("ORDERHUB_TEST_SEED", "1,2,3,4,5").split(",")]
    for seed in seeds:
        yield pytest.param(seed, True, marks=[] if seed == 1 else pytest.mark.full)
        yield pytest.param(seed, False, marks=pytest.mark.full)


@pytest.mark.parametrize(("seed", "jumps"), list(runs()))
async def test_whatever_the_bus_does_every_order_ends_honestly_and_old_messages_change_nothing(
    mischief: Mischief, world: World, eventually: Any, seed: int, jumps: bool
) -> None:
    dice = random.Random(seed)
    run = Run(world, mischief, dice, eventually)
    courier = asyncio.create_task(run.courier())
    jumping = asyncio.create_task(jump_about(world, dice)) if jumps else None
    try:
        await run.orders(40)
        if jumping is not None:
            await asyncio.wait_for(jumping, 30)
        await eventually(run._is_settled, within=60)
    finally:
        courier.cancel()
        await asyncio.gather(courier, return_exceptions=True)
    await run.settle()
    assert min(mischief.done.values()) > 20, mischief.done
    states = await world.statuses()
    assert sorted(states) == sorted(run.placed)
    assert set(states.values()) <= ENDS
    assert await world.findings(COPIES_COUNT, NO_AUTH) == []

    before = await world.picture()
    await mischief.everything_again()
    await run.settle()
    after = await world.picture()
    assert {name: rows for name, rows in after.items() if rows != before[name]} == {}
    for service in ("orders", "inventory", "payments", "delivery"):
        assert await world.sql(service, "select reason from dead_letters") == []


async def jump_about(world: World, dice: random.Random) -> None:
    """Deadlines of steps and of whole runs pass while commands and answers are on their way: steps are retried, runs
    turn round, and then the first command arrives."""
    for _ in range(14):
        await asyncio.sleep(dice.uniform(0.05, 0.4))
        world.clock.jump(dice.choice([7, 15, 25, 660]))


FORGOTTEN = [
    "vendor_views",
    pytest.param("product_views", marks=pytest.mark.full),
    pytest.param("animal_views", marks=pytest.mark.full),
]


@pytest.mark.parametrize("forgotten", FORGOTTEN)
async def test_news_of_the_catalogue_that_orders_has_not_had_is_asked_for(
    world: World, eventually: Any, forgotten: str
) -> None:
    """A product whose vendor is still on its way answered 500."""
    snakes = await world.snakes(1)
    await eventually(world.is_at_rest)
    await world.sql("orders", f"delete from {forgotten}")
    order = await world.place((snakes, 1))

    async def settled() -> bool:
        return (await world.statuses())[order] in ENDS

    await eventually(settled)
    # An animal that orders has not heard of has not been judged, so nobody gets it.
    assert (await world.statuses())[order] == ("REJECTED" if forgotten == "animal_views" else "CONFIRMED")
