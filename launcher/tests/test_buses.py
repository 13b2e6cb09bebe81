"""A change of the bus leaves nothing behind: neither messages, nor services that go on with the former one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from orderhub import buses, topology
from orderhub.exits import Refused
from orderhub.reach import Reach, connected
from orderhub_chassis.db import Database

MakeDatabase = Callable[..., Awaitable[str]]
FORMER = "the embedded bus of before"
TOPIC = "inventory.commands.v1"


@pytest.fixture
async def reach(make_database: MakeDatabase) -> Reach:
    """An installation on servers, not running, whose databases are new."""
    urls = {name: await make_database(*packages) for name, packages in topology.databases().items()}
    return Reach(lambda name: urls[name], False)


async def done(reach: Reach, database: str, statement: str, *arguments: Any) -> Any:
    async with connected(reach.dsn(database)) as connection:
        return await connection.fetchval(statement, *arguments)


async def noted(reach: Reach) -> set[str | None]:
    names = await asyncio.gather(
        *(done(reach, name, "select identity from bus_in_use") for name in topology.WITH_OUTBOX)
    )
    return set(names)


async def on_former(reach: Reach) -> None:
    for name in topology.WITH_OUTBOX:
        await done(reach, name, "insert into bus_in_use values (1, $1)", FORMER)


async def test_what_is_on_no_bus_yet_is_noted_by_the_services(reach: Reach) -> None:
    await buses.enter(reach)
    assert await noted(reach) == {None}


async def test_with_nothing_left_the_new_bus_is_noted_everywhere(reach: Reach) -> None:
    await on_former(reach)
    await done(reach, "orderhub_orders", "insert into outbox_totals values ($1, 7)", TOPIC)
    await done(reach, "orderhub_inventory", "insert into inbox_totals values ('inventory', $1, 7)", TOPIC)
    await buses.enter(reach)
    [name] = await noted(reach)
    assert name is not None
    assert name.startswith("the embedded bus ")
    assert name != FORMER


@pytest.mark.parametrize(
    ("taken", "said"), [(0, r"7 of inventory\.commands\.v1"), (6, r"1 of inventory\.commands\.v1")]
)
async def test_messages_that_nobody_has_taken_yet_are_named_and_nothing_is_noted(
    reach: Reach, taken: int, said: str
) -> None:
    await on_former(reach)
    await done(reach, "orderhub_orders", "insert into outbox_totals values ($1, 7)", TOPIC)
    await done(
        reach, "orderhub_inventory", "insert into inbox_totals values ('inventory', $1, $2)", TOPIC, taken
    )
    with pytest.raises(Refused, match=f"{said} for inventory are not taken yet"):
        await buses.enter(reach)
    assert await noted(reach) == {FORMER}


async def test_messages_still_in_an_outbox_are_named_too(reach: Reach) -> None:
    await on_former(reach)
    waiting = (
        "insert into outbox (batch_id, topic, count, records, created_at)"
        " values (gen_random_uuid(), $1, 3, '', now())"
    )
    await done(reach, "orderhub_orders", waiting, TOPIC)
    with pytest.raises(Refused, match=r"3 of inventory\.commands\.v1 for inventory"):
        await buses.enter(reach)
    assert await noted(reach) == {FORMER}


async def test_a_service_that_runs_elsewhere_has_to_be_stopped_first(
    reach: Reach, eventually: Callable[..., Awaitable[Any]]
) -> None:
    """It has looked at the note when it started, and would go on sending to the former bus."""
    await on_former(reach)
    async with Database.open(reach.dsn("orderhub_payments"), service="payments"):
        with pytest.raises(Refused, match=r"these services still send to .*: payments; stop them first"):
            await buses.enter(reach)
        assert await noted(reach) == {FORMER}

    async def gone() -> bool:
        left = "select not exists (select from pg_stat_activity where application_name = 'orderhub-payments' and datname = current_database())"
        return bool(await done(reach, "orderhub_payments", left))

    await eventually(gone)
    await buses.enter(reach)
    assert FORMER not in await noted(reach)
