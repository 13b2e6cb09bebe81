"""What the worker promises while all goes well: what it asks, claims, writes and leaves behind."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from orderhub_chassis.consumer import Context
from orderhub_chassis.ids import uuid7
from orderhub_contracts.payments.v1.commands_pb2 import CapturePayment, ReversePayment
from orderhub_payments import store
from orderhub_payments.commands import Answered, apply_answer
from orderhub_payments.model import Captured, Transient
from orderhub_payments.store import Lease
from orderhub_payments.worker import WAKE
from worker_world import LEASE, TIMEOUT, World, a_world, authorizing, claimed_until, the_runner, true


@pytest.fixture
async def world(make_settings: Any) -> World:
    return await a_world(make_settings)


# ---- asking


async def test_what_is_offered_in_the_turn_in_which_the_last_runner_ends_is_asked_at_once(
    world: World, eventually: Any
) -> None:
    """Otherwise it would wait for its lease to end, while the only runner allowed is one that has ended already."""
    async with world.replica(worker_parallel=1) as one:
        one.provider.may_answer.clear()
        await one.commands(authorizing(uuid7()))
        await one.commands(authorizing(late := uuid7()), lease=False)
        runner = the_runner()
        lease = Lease("one", world.clock.now() + LEASE)
        jobs = await store.claim(one.db, lease, now=world.clock.now(), limit=1)
        one.provider.may_answer.set()
        while not runner.done():  # noqa: ASYNC110 - whoever is woken by the task's end comes a turn too late
            await asyncio.sleep(0)
        one.worker.offer(jobs)
        await eventually(world.all_are("done", 2))
        assert one.provider.asked[-1] == str(late)


async def test_calls_are_as_large_and_as_many_as_the_settings_allow(world: World, eventually: Any) -> None:
    async with world.replica(worker_parallel=2, worker_batch=3) as one:
        one.provider.may_answer.clear()
        await one.commands(*[authorizing(uuid7()) for _ in range(10)])
        await eventually(lambda: true(lambda: len(one.provider.calls) == 2))
        one.provider.may_answer.set()
        await eventually(world.all_are("done", 10))
        assert one.provider.most_under_way == 2
        assert [len(call) for call in one.provider.calls] == [3, 3, 3, 1]


async def test_nothing_is_asked_whose_lease_could_end_during_the_call(world: World, eventually: Any) -> None:
    """It waited in memory for too long: somebody else may ask by then. It is claimed again, and asked once."""
    async with world.replica(worker_parallel=1, worker_batch=1) as one:
        one.provider.may_answer.clear()
        first, second = uuid7(), uuid7()
        await one.commands(authorizing(first), authorizing(second))
        await eventually(lambda: true(lambda: one.provider.calls))
        world.clock.advance(LEASE - TIMEOUT)
        one.provider.may_answer.set()

        async def first_is_done() -> bool:
            return [row["status"] for row in await world.intents()] == ["done", "pending"]

        await eventually(first_is_done)
        assert await one.worker.claim() is False
        world.clock.advance(TIMEOUT)
        await one.worker.claim()
        await eventually(world.all_are("done", 2))
        assert one.provider.asked == [str(first), str(second)]
        assert [row["attempts"] for row in await world.intents()] == [1, 2]


# ---- claiming


async def test_what_has_fallen_due_is_claimed_batch_by_batch_until_there_is_no_more(
    world: World, eventually: Any
) -> None:
    async with world.replica(worker_batch=2) as one:
        await one.commands(*[authorizing(uuid7()) for _ in range(5)], lease=False)
        assert [await one.worker.claim() for _ in range(3)] == [True, True, False]
        await eventually(world.all_are("done", 5))
        assert len(set(one.provider.asked)) == len(one.provider.asked) == 5


async def test_a_full_memory_claims_no_more_and_leases_no_more_until_there_is_room(
    world: World, eventually: Any
) -> None:
    async with world.replica(worker_parallel=1, worker_batch=1, worker_backlog=1) as one:
        woken = one.db.hints.subscribe(WAKE)
        one.provider.may_answer.clear()
        await one.commands(authorizing(uuid7()))
        await eventually(lambda: true(lambda: one.provider.calls))
        await one.commands(authorizing(uuid7()))
        await one.commands(authorizing(uuid7()))
        assert [row["attempts"] for row in await world.intents()] == [1, 1, 0], "the third is nobody's"
        assert await one.worker.claim() is False
        assert [row["attempts"] for row in await world.intents()] == [1, 1, 0]
        assert not woken.is_set()
        one.provider.may_answer.set()
        await asyncio.wait_for(woken.wait(), 5)
        await eventually(lambda: claimed_until(one, world, 3))


async def test_replicas_that_claim_at_once_get_different_intents_and_do_not_wait(world: World) -> None:
    async with world.replica() as one:
        await one.commands(*[authorizing(uuid7()) for _ in range(4)], lease=False)
        now = world.clock.now()
        async with world.somebody() as other:
            theirs = await other.fetch(store.CLAIM, now, 2, "two", now + LEASE)
            ours = await store.claim(one.db, Lease("one", now + LEASE), now=now, limit=10)
        assert len(theirs) == len(ours) == 2
        assert {row["id"] for row in theirs}.isdisjoint({job.intent_id for job in ours})
        assert {row["attempts"] for row in await world.intents()} == {1}


async def test_nothing_is_claimed_that_is_leased_or_pauses_or_waits_or_is_answered(
    world: World, eventually: Any
) -> None:
    async with world.replica() as one:
        now = world.clock.now()

        async def claimable() -> list[UUID]:
            return [j.order_id for j in await store.claim(one.db, Lease("two", now), now=now, limit=10)]

        due, answered, leased, pausing, undone = (uuid7() for _ in range(5))
        await one.commands(authorizing(answered))
        await eventually(world.all_are("done", 1))
        await one.commands(*map(authorizing, (due, leased, pausing, undone)), lease=False)
        await one.commands(ReversePayment(order_id=str(undone)), lease=False)
        change = "update payment_intents set {} = $1::timestamptz + interval '1 second' where order_id = $2"
        await world.sql(change.format("lease_until"), now, leased)
        await world.sql(change.format("next_attempt_at"), now, pausing)
        assert sorted(await claimable()) == sorted([due, undone])
        waiting = [row for row in await world.intents() if row["status"] == "waiting"]
        assert [(row["order_id"], row["attempts"]) for row in waiting] == [(undone, 0)]


# ---- an answer counts only under the lease it was asked with


async def test_an_answer_does_not_overwrite_a_lease_that_is_just_being_given(
    world: World, eventually: Any
) -> None:
    """The lease has ended, another replica's claim is not committed yet, and then the late answer comes."""
    async with world.replica() as one:
        one.provider.answer = lambda operation: Transient("not now")  # type: ignore[method-assign]
        one.provider.may_answer.clear()
        await one.commands(authorizing(uuid7()))
        await eventually(lambda: true(lambda: one.provider.calls))
        world.clock.advance(LEASE)
        now = world.clock.now()
        async with world.somebody() as two:
            (claimed,) = await two.fetch(store.CLAIM, now, 10, "two", now + LEASE)
            one.provider.may_answer.set()
            await eventually(world.waits_for_a_lock)
        await one.worker.close()
        (intent,) = await world.intents()
        assert claimed["attempts"] == intent["attempts"] == 2
        assert (intent["lease_owner"], intent["lease_until"]) == ("two", now + LEASE)
        assert intent["problem"] == ""


async def test_nobody_gets_a_lease_on_what_is_just_being_answered(world: World) -> None:
    async with world.replica() as one:
        await one.commands(authorizing(order := uuid7()), lease=False)
        lease, now = Lease("two", world.clock.now() + LEASE), world.clock.now()
        async with one.db.transaction() as tx:
            await store.load(tx, [order], provider="simulator")
            assert await store.claim(one.db, lease, now=now, limit=10) == []
        assert len(await store.claim(one.db, lease, now=now, limit=10)) == 1


# ---- writing


async def test_a_capture_is_written_with_its_postings_in_one_statement(world: World, eventually: Any) -> None:
    async with world.replica() as one:
        await one.commands(authorizing(order := uuid7()))
        await eventually(world.all_are("done", 1))
        await one.commands(CapturePayment(order_id=str(order)), lease=False)
        now, statements = world.clock.now(), list[str]()
        (job,) = await store.claim(one.db, Lease("two", now + LEASE), now=now, limit=10)
        async with one.db.transaction() as tx:
            book = await store.load(tx, [order], provider="simulator")
            tx.send_all(apply_answer(book, Answered(job, Captured(), now), Context(now, uuid7)))
            tx.connection.add_query_logger(lambda query: statements.append(query.query))
            await store.save(tx, book, now=now, lease=None)
        (written,) = (statement for statement in statements if statement != "commit")
        for table in ("payments", "payment_intents", "ledger_transactions", "ledger_entries", "outbox"):
            assert f" {table} " in written
        entries = await world.sql("select * from ledger_entries order by id")
        assert [entry["amount_minor"] for entry in entries] == [5000, -5000]
        assert [entry["account"].partition(":")[0] for entry in entries] == [
            "provider_clearing",
            "vendor_payable",
        ]


# ---- closing


async def test_what_an_answer_starts_while_the_worker_closes_is_left_to_the_others(
    world: World, eventually: Any
) -> None:
    """The void behind the authorization is nobody's: leased to a worker that is gone, it would wait for nothing."""
    async with world.replica() as one:
        one.provider.may_answer.clear()
        order = uuid7()
        await one.commands(authorizing(order))
        await one.commands(ReversePayment(order_id=str(order)))
        await eventually(lambda: true(lambda: one.provider.calls))
        closing = asyncio.create_task(one.worker.close())
        await asyncio.sleep(0)
        one.provider.may_answer.set()
        await closing
        assert [(row["kind"], row["status"]) for row in await world.intents()] == [
            ("authorize", "done"),
            ("void", "pending"),
        ]
        now = world.clock.now()
        (job,) = await store.claim(one.db, Lease("two", now + LEASE), now=now, limit=10)
        assert (job.kind, job.attempts) == ("void", 1)


async def test_a_closed_worker_takes_nothing_more(world: World) -> None:
    async with world.replica() as one:
        await one.commands(authorizing(uuid7()), lease=False)
        await one.worker.close()
        assert one.worker.lease() is None
        assert await one.worker.claim() is False
        (intent,) = await world.intents()
        assert (intent["attempts"], one.provider.calls) == (0, [])
