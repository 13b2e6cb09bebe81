"""What the worker promises when the database, the provider or the code is at fault."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from orderhub_chassis.ids import uuid7
from orderhub_payments import store
from orderhub_payments.model import Operation, Result, Transient, Unknown
from orderhub_payments.store import Lease
from orderhub_payments.worker import LONGEST_AWAY, WAKE
from worker_world import LEASE, World, a_world, authorizing, claimed_until, the_runner, true


@pytest.fixture
async def world(make_settings: Any) -> World:
    return await a_world(make_settings)


async def test_answers_that_cannot_be_written_are_asked_for_again_under_the_same_key(
    world: World, eventually: Any
) -> None:
    """The database is away when the provider answers. Neither call is the runner's last."""
    async with world.replica(worker_parallel=1, worker_batch=1) as one:
        one.provider.may_answer.clear()
        await one.commands(authorizing(uuid7()), authorizing(uuid7()))
        await eventually(lambda: true(lambda: one.provider.calls))
        runner = the_runner()
        await world.connections_allowed(False)
        one.provider.may_answer.set()
        await asyncio.wait([runner], timeout=10)
        assert len(one.provider.calls) == 2
        await world.connections_allowed(True)
        world.clock.advance(LEASE)
        await eventually(lambda: claimed_until(one, world, 2))
        keys = Counter(operation.key for call in one.provider.calls for operation in call)
        assert sorted(keys.values()) == [2, 2]
        assert {row["attempts"] for row in await world.intents()} == {2}


async def test_an_answer_that_meets_a_bug_keeps_no_other_from_being_written(
    world: World, eventually: Any
) -> None:
    async with world.replica() as one:
        orders = [uuid7() for _ in range(5)]
        await world.sql(
            "create function refuse() returns trigger language plpgsql as $$ begin"
            f" if new.order_id = '{orders[2]}' then raise exception 'a bug, for a test'; end if; return new; end $$"
        )
        await world.sql(
            "create trigger refuse before update on payments for each row execute function refuse()"
        )
        await one.commands(*map(authorizing, orders))

        async def others_are_done() -> bool:
            done = {row["order_id"] for row in await world.intents() if row["status"] == "done"}
            return done == {*orders} - {orders[2]}

        await eventually(others_are_done)
        assert len(one.provider.calls) == 1, "it is the writing that was repeated, not the asking"
        await world.sql("drop function refuse cascade")
        world.clock.advance(LEASE)
        await one.worker.claim()
        await eventually(world.all_are("done", 5))


@pytest.mark.parametrize("results", [None, []], ids=["raises", "too-few"])
async def test_a_provider_that_breaks_its_contract_costs_a_lease_and_no_more(
    world: World, eventually: Any, results: list[Result] | None
) -> None:
    """What waits behind it in memory is asked by the same runner."""
    async with world.replica(worker_parallel=1, worker_batch=1) as one:
        execute = one.provider.execute

        async def broken(operations: Sequence[Operation]) -> list[Result]:
            one.provider.execute = execute  # type: ignore[method-assign]
            if results is None:
                raise ArithmeticError("a bug in the adapter")
            return results

        one.provider.execute = broken  # type: ignore[method-assign]
        await one.commands(authorizing(uuid7()), authorizing(uuid7()))

        async def the_next_is_done() -> bool:
            return sorted(row["status"] for row in await world.intents()) == ["done", "pending"]

        await eventually(the_next_is_done)
        world.clock.advance(LEASE)
        await one.worker.claim()
        await eventually(world.all_are("done", 2))


@pytest.mark.parametrize("away", [True, False], ids=["away", "reached"])
async def test_pauses_are_short_in_an_outage_and_long_for_a_payment_that_keeps_failing(
    world: World, eventually: Any, away: bool
) -> None:
    longest = timedelta(hours=1)
    async with world.replica(retry_longest=longest) as one:
        one.provider.answer = lambda operation: Unknown("hm", away=away)  # type: ignore[method-assign]
        await one.commands(authorizing(uuid7()), lease=False)
        await world.sql("update payment_intents set attempts = 30")
        await one.worker.claim()

        async def answered() -> bool:
            return (await world.intents())[0]["problem"] == "hm"

        await eventually(answered)
        pause = (await world.intents())[0]["next_attempt_at"] - world.clock.now()
        full = LONGEST_AWAY if away else longest
        assert full / 2 <= pause <= full


async def test_the_end_of_a_pause_wakes_the_claim_without_a_poll(world: World) -> None:
    async with world.replica(retry_first=timedelta(milliseconds=20)) as one:
        woken = one.db.hints.subscribe(WAKE)
        one.provider.answer = lambda operation: Transient("not now")  # type: ignore[method-assign]
        await one.commands(authorizing(uuid7()))
        await asyncio.wait_for(woken.wait(), 5)
        (intent,) = await world.intents()
        assert (intent["problem"], intent["status"]) == ("not now", "pending")
        world.clock.advance(timedelta(milliseconds=20))
        assert (
            len(await store.claim(one.db, Lease("one", world.clock.now()), now=world.clock.now(), limit=10))
            == 1
        )
