"""What a transaction owes to other processes and to readers, seen below the HTTP API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from uuid import UUID

import asyncpg
import msgspec
import pytest
from orderhub_chassis.clock import ManualClock
from orderhub_chassis.db import Database
from orderhub_simulator.commands import Answer, Authorize, Capture, RefundCaptured, Void
from orderhub_simulator.writer import Transactions


def an_authorize(key: str) -> Authorize:
    return Authorize(key=key, amount_minor=1000, currency="EUR", token="tok_ok", reference="order-1")


def id_in(answer: Answer) -> UUID:
    return UUID(msgspec.json.decode(answer.body)["id"])


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def replicas(database_url: str, clock: ManualClock) -> AsyncIterator[list[Transactions]]:
    """Four writers with pools of their own, as four processes would have."""
    async with AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(Database.open(database_url, service="simulator", clock=clock))
            for _ in range(4)
        ]
        yield [Transactions(database) for database in opened]


async def test_replicas_that_refund_at_once_never_exceed_the_capture(
    replicas: list[Transactions], sql: asyncpg.Connection
) -> None:
    (held,) = await replicas[0].apply([an_authorize("a")])
    await replicas[0].apply([Capture(key="c", authorization_id=id_in(held), amount_minor=1000)])
    refunds = [
        RefundCaptured(key=f"r{n}", authorization_id=id_in(held), amount_minor=100, reference="r")
        for n in range(40)
    ]
    calls = (replicas[n % 4].apply([refund]) for n, refund in enumerate(refunds))
    statuses = [answer.http_status for (answer,) in await asyncio.gather(*calls)]
    assert (statuses.count(200), statuses.count(409)) == (10, 30)
    assert await sql.fetchval("SELECT refunded_minor FROM authorizations") == 1000
    assert await sql.fetchval("SELECT sum(amount_minor) FROM refunds") == 1000


async def test_of_capture_and_void_at_once_one_wins(replicas: list[Transactions]) -> None:
    asked = [an_authorize(f"a{n}") for n in range(20)]
    held = [id_in(answer) for answer in await replicas[0].apply(asked)]
    captures = [Capture(key=f"c{id}", authorization_id=id, amount_minor=1) for id in held]
    voids = [Void(key=f"v{id}", authorization_id=id) for id in reversed(held)]
    captured, voided = await asyncio.gather(replicas[1].apply(captures), replicas[2].apply(voids))
    for capture, void in zip(captured, reversed(voided), strict=True):
        assert sorted([capture.http_status, void.http_status]) == [200, 409]


async def test_updated_at_never_goes_back_even_when_the_clock_does(
    replicas: list[Transactions], clock: ManualClock, sql: asyncpg.Connection
) -> None:
    (held,) = await replicas[0].apply([an_authorize("a")])
    before = await sql.fetchval("SELECT updated_at FROM authorizations")
    clock.advance(timedelta(hours=-1))
    await replicas[0].apply([Capture(key="c", authorization_id=id_in(held), amount_minor=1000)])
    assert await sql.fetchval("SELECT updated_at FROM authorizations") >= before
