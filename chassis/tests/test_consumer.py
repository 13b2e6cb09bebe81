"""The consumer under duplicates, twins, handovers, outages and bad messages: every message has its effect once."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import defaultdict
from dataclasses import replace

import pytest
from orderhub_chassis import db as chassis_db
from orderhub_chassis import inbox, metrics
from orderhub_chassis.consumer import MAX_ATTEMPTS, ConsumerSpec
from orderhub_chassis.db import Database
from orderhub_chassis.messages import Delivery, OutboxBatch, Outgoing, batch_from_bytes, unpack
from orderhub_contracts import topics
from orderhub_contracts.events.v1.records_pb2 import MessageDeadLettered, Record
from orderhub_contracts.orders.v1.replies_pb2 import CommandDeadLettered, SagaReply
from orderhub_contracts.payments.v1.commands_pb2 import AuthorizePayment, CapturePayment

KEYS = [f"order-{n}" for n in range(24)]


class Poison(Exception):
    pass


def failing_on(*bad):
    """A decision that cannot be made for these (key, number)."""

    def decide(state, envelope):
        pair = (envelope.key, int(envelope.payload.token))
        if pair in bad:
            raise Poison(f"no way with {pair}")
        state.applied.append(pair)

    return decide


def counter(metric, *labels):
    return metric.labels(*labels)._value.get()


async def test_a_batch_published_again_has_its_effects_once(world, eventually):
    first = world.batch(("a", 1), ("b", 1))
    second = world.batch(("a", 2))
    before = counter(metrics.DUPLICATES, "payments")
    await world.publish(first, first)
    async with world.running(world.spec()):
        await eventually(world.applied(("a", 1), ("b", 1)))
        await world.publish(first, second, second)
        await eventually(world.applied(("a", 1), ("b", 1), ("a", 2)))
    assert counter(metrics.DUPLICATES, "payments") - before == 5


async def test_messages_of_a_key_are_applied_in_order(world, eventually):
    numbers = [(key, n) for n in range(30) for key in KEYS]
    await world.publish(*(world.batch(*numbers[i : i + 7]) for i in range(0, len(numbers), 7)))
    async with world.running(world.spec(), batch=50):
        await eventually(world.applied(some=len(numbers)))
    assert in_key_order(await world.effects(), 30)


def in_key_order(effects, count):
    found = defaultdict(list)
    for key, number in effects:
        found[key].append(number)
    return all(found[key] == list(range(count)) for key in KEYS)


async def test_a_frozen_twin_that_holds_the_inbox_row_is_waited_for_and_leaves_nothing_to_do(
    world, eventually
):
    batch = world.batch(("a", 1), ("a", 2))
    thaw = asyncio.Event()

    async def frozen(tx):
        delivered = [
            Delivery(world.topic.name, p.partition, 0, batch.batch_id, batch_from_bytes(p.batch).records)
            for p in unpack(batch.data).parts
        ]
        fresh = await inbox.admit(tx, "payments", delivered, now=db.clock.now())
        await thaw.wait()
        await tx.execute("insert into effects (key, number) select 'a', unnest($1::int[])", [1, 2])
        return len(fresh)

    async with world.db() as db:
        twin = asyncio.create_task(db.run(frozen))

        async def holds_the_row():
            return await world.database.sql(
                "select 1 from pg_stat_activity where datname = $1 and state = 'idle in transaction'",
                world.database.name,
            )

        await eventually(holds_the_row)
        await world.publish(batch)
        async with world.running(world.spec()) as living:
            await eventually(world.database.waiting_for_locks)
            assert await world.effects() == []
            thaw.set()
            assert await twin == 2

            async def committed():
                return (await living.bus.lag("payments"))[world.topic.name] == 0

            await eventually(committed)
    assert await world.effects() == [("a", 1), ("a", 2)]


async def test_a_twin_that_stays_frozen_is_ended_by_the_server(world, eventually, monkeypatch):
    batch = world.batch(("a", 1))
    await world.publish(batch)
    monkeypatch.setitem(chassis_db.SESSION, "idle_in_transaction_session_timeout", "500")
    async with world.db() as frozen_db:

        async def frozen(tx):
            delivered = [
                Delivery(world.topic.name, p.partition, 0, batch.batch_id, batch_from_bytes(p.batch).records)
                for p in unpack(batch.data).parts
            ]
            await inbox.admit(tx, "payments", delivered, now=frozen_db.clock.now())
            await asyncio.Event().wait()

        twin = asyncio.create_task(frozen_db.run(frozen))
        await asyncio.sleep(0)
        async with world.running(world.spec()):
            await eventually(world.applied(("a", 1)))
        twin.cancel()
        await asyncio.gather(twin, return_exceptions=True)


async def test_replicas_that_come_go_and_are_robbed_apply_each_message_once_in_key_order(world, eventually):
    """Members join and leave under load, and leases are taken from them while they work (late twins)."""
    rounds, numbers = 60, itertools.count()
    spec = world.spec()

    async def rob():
        await world.bus_url.sql(
            "update leases set member = null, generation = generation + 1 where partition % 3 = $1",
            random.randrange(3),
        )

    async def load():
        async with world.bus() as bus:
            for number in itertools.islice(numbers, rounds):
                await bus.publish([world.batch(*((key, number) for key in KEYS))])
                if number % 10 == 9:
                    await rob()
                await asyncio.sleep(0.01)

    async with world.running(spec, member="a", ttl=1.0, batch=40):
        loading = asyncio.create_task(load())
        async with world.running(spec, member="b", ttl=1.0, batch=40):
            await eventually(world.applied(some=rounds * len(KEYS) // 3), within=20)
            async with world.running(spec, member="c", ttl=1.0, batch=40):
                await eventually(world.applied(some=rounds * len(KEYS) * 2 // 3), within=20)
        await loading
        await eventually(world.applied(some=rounds * len(KEYS)), within=20)
    effects = await world.effects()
    assert len(effects) == rounds * len(KEYS)
    assert in_key_order(effects, rounds)


async def test_one_bad_message_in_fifty_is_given_up_and_only_its_key_is_parked(world, eventually):
    fifty = [(KEYS[n % 10], n) for n in range(50)]
    bad = fifty[17]
    key, after = bad[0], [p for p in fifty if p[0] == bad[0] and p[1] > bad[1]]
    trace = f"00-{'ab' * 16}-{'cd' * 8}-01"
    await world.publish(
        world.batch(*(world.command(*p, traceparent=trace) for p in fifty[:25])), world.batch(*fifty[25:])
    )
    expected = [p for p in fifty if p != bad and p not in after]
    before = counter(metrics.DEAD_LETTERS, "payments", world.topic.name)
    async with world.running(world.spec(failing_on(bad))):
        await eventually(world.applied(*expected))
        await world.publish(world.batch((key, 100), ("another", 100)))
        await eventually(world.applied(*expected, ("another", 100)))
    dead, *parked = await world.dead_letters()
    assert (dead["status"], dead["key"], dead["attempts"]) == ("dead", key, MAX_ATTEMPTS)
    assert dead["reason"] == f"Poison: no way with {bad}"
    assert "in decide" in dead["stack"]
    assert Record.FromString(dead["record"]).traceparent == trace
    assert [_number(row) for row in parked] == [number for _, number in after] + [100]
    assert {row["status"] for row in parked} == {"parked"}
    assert await world.database.value("select count(*) from message_attempts") == 0
    assert counter(metrics.DEAD_LETTERS, "payments", world.topic.name) - before == 1


def _number(row):
    return int(AuthorizePayment.FromString(Record.FromString(row["record"]).payload).token)


async def test_giving_up_tells_the_dead_letter_topic_and_answers_the_saga(world, eventually):
    await world.publish(world.batch(("a", 1)))
    async with world.running(world.spec(failing_on(("a", 1)))):
        await eventually(world.dead_letters)
    (dead,) = await world.dead_letters()
    (dlq_topic, told), (reply_topic, reply) = await world.sent()
    assert (dlq_topic, told.key) == ("payments.dlq.v1", "a")
    message = MessageDeadLettered.FromString(told.payload)
    assert (message.dead_letter_id, message.consumer, message.topic) == (
        str(dead["id"]),
        "payments",
        world.topic.name,
    )
    assert message.record == Record.FromString(dead["record"])
    assert (reply_topic, reply.key, reply.saga.run_id) == ("orders.replies.v1", "a", "run-a")
    answer = CommandDeadLettered.FromString(reply.payload)
    assert (answer.order_id, answer.consumer, answer.dead_letter_id) == ("a", "payments", str(dead["id"]))


async def test_attempts_are_durable_before_they_begin(world, eventually):
    """The row is there, committed, while the handler runs."""
    seen = []

    def decide(state, envelope):
        if envelope.key == "bad":
            raise Poison
        state.applied.append((envelope.key, int(envelope.payload.token)))

    await world.publish(world.batch(("first", 0)))
    async with world.running(world.spec(decide)) as living:
        await eventually(world.applied(("first", 0)))
        apply = living.runner._effects.apply

        async def watched(tx, deliveries, counted):
            if len(deliveries) == 1 and len(deliveries[0].records) == 1:
                rows = await world.database.sql("select attempts from message_attempts")
                seen.append([row["attempts"] for row in rows])
            return await apply(tx, deliveries, counted)

        living.runner._effects.apply = watched
        await world.publish(world.batch(("good", 1), ("bad", 1)))
        await eventually(world.dead_letters)
    assert [attempts for attempts in seen if attempts and attempts != [1]][-1] == [MAX_ATTEMPTS]
    assert sorted(await world.effects()) == [("first", 0), ("good", 1)]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (
            Record(key="a", type="orderhub.payments.v1.AuthorizePayment", payload=b"\xff\xff"),
            "orderhub.payments.v1.AuthorizePayment: ",
        ),
        (
            Record(key="a", type="orderhub.nobody.v1.Knows", payload=b""),
            "unknown message type 'orderhub.nobody",
        ),
    ],
    ids=["broken bytes", "unknown type"],
)
async def test_what_cannot_be_decoded_is_set_aside_without_halving(world, eventually, broken, reason):
    batches = 0

    def saved(state):
        nonlocal batches
        batches += 1

    broken.saga.order_id = "a"
    await world.publish(world.batch(("b", 1), broken, ("a", 2), ("c", 3)))
    async with world.running(world.spec(after_commit=saved)):
        await eventually(world.applied(("b", 1), ("c", 3)))
    dead, parked = await world.dead_letters()
    assert (dead["status"], dead["attempts"], parked["status"]) == ("dead", 1, "parked")
    assert dead["reason"].startswith(reason)
    assert [topic for topic, _ in await world.sent()] == ["payments.dlq.v1", "orders.replies.v1"]
    # One poll, one batch per partition at most: nothing was tried alone.
    assert batches == 1


async def test_a_message_of_no_interest_is_admitted_and_passed_over(world, eventually):
    await world.publish(world.batch(Outgoing(CapturePayment(order_id="a"), "a"), ("a", 1)))
    async with world.running(world.spec()):
        await eventually(world.applied(("a", 1)))
    assert await world.database.value("select sum(admitted) from inbox") == 2


async def test_what_a_consumer_ignores_is_never_decoded_and_counts_as_applied(world, eventually):
    broken = Record(key="a", type="no.such.Message", payload=b"\xff")
    await world.publish(world.batch(broken, ("a", 1)))
    spec = replace(world.spec(), ignores=lambda record: record.type == "no.such.Message")
    async with world.running(spec):
        await eventually(world.applied(("a", 1)))
    assert await world.database.value("select sum(admitted) from inbox") == 2
    assert await world.database.value("select count(*) from dead_letters") == 0


async def test_a_refusal_by_the_driver_is_the_messages_fault_and_no_outage(world, eventually):
    """asyncpg refuses 2**40 for an int4 column as an InterfaceError, which must not be retried for ever."""
    await world.publish(world.batch(("a", 2**40), ("b", 1)))
    async with world.running(world.spec()):
        await eventually(world.applied(("b", 1)))
        (dead,) = await eventually(world.dead_letters)
    assert dead["reason"].startswith("DataError: ")


async def test_what_the_handler_says_may_hold_what_postgres_cannot(world, eventually):
    def decide(state, envelope):
        raise Poison("nul \0 and \ud800")

    await world.publish(world.batch(Record(key="k\0ey", type="x\0y", payload=b"")))
    await world.publish(world.batch(("a", 1)))
    async with world.running(world.spec(decide)):

        async def both():
            return len(await world.dead_letters()) == 2

        await eventually(both)
    found = {row["key"]: row["reason"] for row in await world.dead_letters()}
    assert found["a"] == "Poison: nul \ufffd and ?"
    assert found["k\ufffdey"] == "unknown message type 'x\\x00y'"


async def test_a_message_of_the_largest_size_can_be_given_up(world, eventually):
    big = world.command("a", 1)
    big.payload.customer_id = "x" * (topics.MAX_MESSAGE_BYTES - 100)
    await world.publish(world.batch(big))
    async with world.running(world.spec(failing_on(("a", 1)))):
        (dead,) = await eventually(world.dead_letters)
    assert len(dead["record"]) > topics.MAX_MESSAGE_BYTES - 100
    told = MessageDeadLettered.FromString((await world.sent())[0][1].payload)
    assert (told.record.key, told.record.payload) == ("a", b"")


async def test_connections_that_break_cost_nothing(world, eventually):
    total = 30 * len(KEYS)
    async with world.running(world.spec(), batch=30):

        async def load():
            async with world.bus() as bus:
                for number in range(30):
                    await bus.publish([world.batch(*((key, number) for key in KEYS))])

        await load()
        for _ in range(4):
            await world.database.hang_up()
            await world.bus_url.hang_up()
            done = len(await world.effects())
            await eventually(world.applied(some=min(total, done + 50)), within=20)
        await eventually(world.applied(some=total), within=20)
    assert in_key_order(await world.effects(), 30)
    assert await world.dead_letters() == []
    assert await world.database.value("select count(*) from message_attempts") == 0


@pytest.mark.parametrize("which", ["database", "bus_url"])
async def test_an_outage_exhausts_nothing_and_readiness_tells_of_it(world, eventually, which):
    part = getattr(world, which)
    await world.publish(world.batch(("a", 0)))
    async with world.running(world.spec(), ttl=1.0) as living:
        await eventually(world.applied(("a", 0)))
        more = world.batch(*((key, 1) for key in KEYS))
        if which == "bus_url":
            await world.publish(more)
        await part.go_away()
        if which == "database":
            await world.publish(more)

        async def unready():
            return "database is away" in living.readiness.report().get("consumer", "")

        await eventually(unready)
        await part.come_back()

        async def ready():
            return living.readiness.ok

        await eventually(ready, within=20)
        await eventually(world.applied(("a", 0), *((key, 1) for key in KEYS)), within=20)
    assert await world.dead_letters() == []
    assert await world.database.value("select count(*) from message_attempts") == 0


async def test_an_outage_in_the_midst_of_lone_attempts_does_not_count_against_the_message(world, eventually):
    """Suspects are tried alone; each time the connection breaks in the middle, far more often than MAX_ATTEMPTS."""
    breaks = 0
    await world.publish(world.batch(("a", 1), ("b", 2)))
    async with world.bus() as bus, bus.consumer("payments", [world.topic], "killed") as consumer:
        ids = [r.id for d in await consumer.poll(10, timeout=5) for r in d.records]
    await world.database.sql(
        "insert into message_attempts select 'payments', m, 1, now() from unnest($1::text[]) m", ids
    )
    spec = world.spec()
    save = spec.save

    async def breaking(tx, state, context):
        nonlocal breaks
        if breaks < 2 * MAX_ATTEMPTS:
            breaks += 1
            await world.database.hang_up()
        await save(tx, state, context)

    spec = ConsumerSpec(spec.name, spec.topics, spec.load, spec.handlers, breaking)
    async with world.running(spec) as living:
        living.runner._wait_for = _impatient
        await eventually(world.applied(("a", 1), ("b", 2)), within=20)
    assert breaks == 2 * MAX_ATTEMPTS
    assert await world.dead_letters() == []
    assert await world.database.value("select count(*) from message_attempts") == 0


async def _impatient(error, seconds):
    await asyncio.sleep(0)


async def test_a_stop_during_an_outage_does_not_wait_for_its_end(world, eventually):
    await world.publish(world.batch(("a", 0)))
    async with world.running(world.spec()) as living:
        await eventually(world.applied(("a", 0)))
        await world.database.go_away()
        await world.publish(world.batch(("a", 1)))

        async def unready():
            return not living.readiness.ok

        await eventually(unready)
    assert living.task.done()
    await world.database.come_back()
    async with world.running(world.spec()):
        await eventually(world.applied(("a", 0), ("a", 1)))


async def test_the_open_batch_is_finished_at_a_stop_and_committed(world, eventually):
    began, go_on = asyncio.Event(), asyncio.Event()
    spec = world.spec()

    async def slow(tx, envelopes, context):
        state = await spec.load(tx, envelopes, context)
        began.set()
        await go_on.wait()
        return state

    await world.publish(world.batch(("a", 1)))
    async with world.running(ConsumerSpec(spec.name, spec.topics, slow, spec.handlers, spec.save)) as living:
        await asyncio.wait_for(began.wait(), 10)
        living.runner.stop()
        go_on.set()
    assert await world.effects() == [("a", 1)]
    async with world.bus() as bus:
        assert (await bus.lag("payments"))[world.topic.name] == 0


async def test_sent_equals_admitted_under_duplicates_and_halving(world, make_database, server, eventually):
    """Over a real outbox and relay: totals + rows on one side, rows + totals on the other, to the message."""
    sender = server(await make_database("orderhub_chassis"))
    sent = 0
    async with Database.open(sender.url, service="orders") as orders, world.bus() as bus:
        async with world.running(world.spec(failing_on(("order-3", 5), ("order-7", 2))), batch=60) as living:
            async with world.relaying(orders, bus) as relay:
                for number in range(12):
                    async with orders.transaction() as tx:
                        tx.send_all(world.command(key, number) for key in KEYS)
                    sent += len(KEYS)
                    if number % 4 == 1:
                        # A relay that died between publishing and deleting: the same rows go out again.
                        rows = await sender.sql("select id, batch_id, topic, records from outbox order by id")
                        await bus.publish(
                            [OutboxBatch.of_row(r["batch_id"], world.topic, r["records"]) for r in rows]
                        )
                await relay.drain()

            async def all_committed():
                return (await living.bus.lag("payments"))[world.topic.name] == 0

            await eventually(all_committed, within=20)
        async with world.db() as db:
            await db.run(lambda tx: inbox.prune(tx, before=db.clock.now(), limit=5))
    left = await sender.value("select coalesce(sum(count), 0) from outbox")
    gone = await sender.value("select messages from outbox_totals where topic = $1", world.topic.name)
    admitted = await world.database.value("select coalesce(sum(admitted), 0) from inbox")
    pruned = await world.database.value("select coalesce(sum(messages), 0) from inbox_totals")
    assert (left + gone, admitted + pruned) == (sent, sent)
    assert pruned > 0
    done = len(await world.effects()) + len(await world.dead_letters())
    assert done == sent


def test_a_consumer_must_fit_the_table_of_topics():
    with pytest.raises(ValueError, match="no dead-letter topic"):
        ConsumerSpec("nobody", (topics.ORDERS_REPLIES,), None, {}, None)
    with pytest.raises(ValueError, match=r"handles what it does not read: orderhub\.orders\.v1\.SagaReply"):
        ConsumerSpec("orders", (topics.ORDERS_EVENTS,), None, {SagaReply: note_nothing}, None)


def note_nothing(state, envelope, context):
    return []
