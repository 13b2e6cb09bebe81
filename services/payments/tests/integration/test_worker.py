"""What the worker promises, one by one: on a real database, with a provider that answers when it is told to."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg
import pytest
from orderhub_chassis.clock import ManualClock
from orderhub_chassis.consumer import Context
from orderhub_chassis.db import Database, Transaction
from orderhub_chassis.health import Readiness
from orderhub_chassis.ids import uuid7
from orderhub_chassis.messages import Envelope
from orderhub_contracts.common.v1.common_pb2 import Money
from orderhub_contracts.events.v1.records_pb2 import Record, SagaRef
from orderhub_contracts.payments.v1.commands_pb2 import AuthorizePayment, CapturePayment, ReversePayment
from orderhub_payments import store
from orderhub_payments.clients import Providers
from orderhub_payments.commands import Answered, Book, apply_answer
from orderhub_payments.consumers import HANDLERS
from orderhub_payments.model import Authorize, Authorized, Captured, Operation, Result, Transient, Unknown
from orderhub_payments.settings import Settings
from orderhub_payments.store import Lease
from orderhub_payments.worker import LONGEST_AWAY, WAKE, Worker

LEASE, TIMEOUT = timedelta(seconds=10), timedelta(seconds=4)


class ToldProvider:
    """The card network's edge: authorizes what it is asked, unless told otherwise, and only while it may."""

    name = "simulator"

    def __init__(self) -> None:
        self.calls: list[list[Operation]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.under_way = self.most_under_way = 0

    async def execute(self, operations: Sequence[Operation]) -> list[Result]:
        self.calls.append(list(operations))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.may_answer.wait()
            return [self.answer(operation) for operation in operations]
        finally:
            self.under_way -= 1

    def answer(self, operation: Operation) -> Result:
        return Authorized(f"ref-{operation.key}")

    @property
    def asked(self) -> list[str]:
        """The order of each authorization that was asked, in order."""
        return [o.reference for call in self.calls for o in call if isinstance(o, Authorize)]


class Replica:
    """A worker with its own connections, and what the consumer beside it does."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self.db = db
        self.provider = ToldProvider()
        self.worker = Worker(db, Providers(self.provider), Readiness(opened=True), settings)

    async def commands(self, *payloads: Any, lease: bool = True) -> None:
        """As the consumer does it: one transaction, then the jobs go to the worker. Without a lease nobody has them."""

        async def work(tx: Transaction) -> Book:
            context = Context(self.db.clock.now(), self.db.new_id)
            book = await store.load(tx, {UUID(p.order_id) for p in payloads}, provider=self.provider.name)
            for payload in payloads:
                tx.send_all(HANDLERS[type(payload)](book, _step(payload), context))
            await store.save(tx, book, now=context.now, lease=self.worker.lease() if lease else None)
            return book

        book = await self.db.run(work)
        self.worker.offer(book.jobs)


def _step(payload: Any) -> Envelope:
    undoes = isinstance(payload, ReversePayment)
    id = payload.order_id
    saga = SagaRef(
        order_id=id,
        run_id=id,
        step=4 if isinstance(payload, CapturePayment) else 2,
        epoch=2 if undoes else 1,
        compensation=undoes,
    )
    return Envelope("payments.commands.v1", 0, uuid7(), Record(id="m", key=id, saga=saga), payload)


def authorizing(order_id: UUID) -> AuthorizePayment:
    return AuthorizePayment(
        order_id=str(order_id), customer_id=str(uuid7()), vendor_id=str(uuid7()), token="tok_ok",
        amount=Money(amount_minor=5000, currency="EUR"),
    )  # fmt: skip


class World:
    """One database of payments, and any number of replicas on it by one clock."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = ManualClock()
        self.url = settings.database_url.get_secret_value()

    @asynccontextmanager
    async def replica(self, **over: Any) -> AsyncIterator[Replica]:
        settings = self.settings.model_copy(update=over)
        async with Database.open(self.url, service="payments", clock=self.clock) as db:
            replica = Replica(db, settings)
            try:
                yield replica
            finally:
                replica.provider.may_answer.set()
                await replica.worker.close()

    async def sql(self, statement: str, *arguments: Any, elsewhere: bool = False) -> list[Any]:
        url = urlunsplit(urlsplit(self.url)._replace(path="/postgres")) if elsewhere else self.url
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()

    @asynccontextmanager
    async def somebody(self) -> AsyncIterator[asyncpg.Connection]:
        """Another replica's open transaction; it commits with the block."""
        connection = await asyncpg.connect(self.url)
        try:
            async with connection.transaction():
                yield connection
        finally:
            await connection.close()

    async def waits_for_a_lock(self) -> bool:
        name = urlsplit(self.url).path[1:]
        query = "select 1 from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'"
        return bool(await self.sql(query, name, elsewhere=True))

    async def connections_allowed(self, allowed: bool) -> None:
        name = urlsplit(self.url).path[1:]
        await self.sql(f"alter database {name} allow_connections {allowed}", elsewhere=True)
        if not allowed:
            query = "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1"
            await self.sql(query, name, elsewhere=True)

    async def intents(self) -> list[Any]:
        return await self.sql("select * from payment_intents order by seq")

    def all_are(self, status: str, count: int) -> Callable[[], Awaitable[bool]]:
        async def condition() -> bool:
            return [row["status"] for row in await self.intents()] == [status] * count

        return condition


@pytest.fixture
async def world(make_settings: Any) -> World:
    values = {"simulator_url": "http://127.0.0.1:1", "simulator_api_key": "k" * 16}
    return World(
        await make_settings(Settings, "orderhub_payments", lease=LEASE, provider_timeout=TIMEOUT, **values)
    )


async def _true(value: Any) -> bool:
    return bool(value())


def the_runner() -> asyncio.Task[Any]:
    """The task of the only replica's only call."""
    (found,) = (task for task in asyncio.all_tasks() if "Worker._work" in repr(task.get_coro()))
    return found


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
        await eventually(lambda: _true(lambda: len(one.provider.calls) == 2))
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
        await eventually(lambda: _true(lambda: one.provider.calls))
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
        await eventually(lambda: _true(lambda: one.provider.calls))
        await one.commands(authorizing(uuid7()))
        await one.commands(authorizing(uuid7()))
        assert [row["attempts"] for row in await world.intents()] == [1, 1, 0], "the third is nobody's"
        assert await one.worker.claim() is False
        assert [row["attempts"] for row in await world.intents()] == [1, 1, 0]
        assert not woken.is_set()
        one.provider.may_answer.set()
        await asyncio.wait_for(woken.wait(), 5)
        await eventually(lambda: _claimed_until(one, world, 3))


async def _claimed_until(replica: Replica, world: World, count: int) -> bool:
    await replica.worker.claim()
    return await world.all_are("done", count)()


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
        await eventually(lambda: _true(lambda: one.provider.calls))
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


# ---- when something goes wrong


async def test_answers_that_cannot_be_written_are_asked_for_again_under_the_same_key(
    world: World, eventually: Any
) -> None:
    """The database is away when the provider answers. Neither call is the runner's last."""
    async with world.replica(worker_parallel=1, worker_batch=1) as one:
        one.provider.may_answer.clear()
        await one.commands(authorizing(uuid7()), authorizing(uuid7()))
        await eventually(lambda: _true(lambda: one.provider.calls))
        runner = the_runner()
        await world.connections_allowed(False)
        one.provider.may_answer.set()
        await asyncio.wait([runner], timeout=10)
        assert len(one.provider.calls) == 2
        await world.connections_allowed(True)
        world.clock.advance(LEASE)
        await eventually(lambda: _claimed_until(one, world, 2))
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
        await eventually(lambda: _true(lambda: one.provider.calls))
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
