"""The relay: nothing later overtakes, nothing is lost, and twice is no harm."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from orderhub_chassis.db import Database
from orderhub_chassis.errors import Unavailable
from orderhub_chassis.health import Readiness
from orderhub_chassis.messages import batch_from_bytes, unpack
from orderhub_chassis.relay import Relay
from orderhub_contracts.payments.v1.commands_pb2 import AuthorizePayment


@pytest.fixture
async def sender(make_database, server):
    """The server's side of the database of a service that sends."""
    return server(await make_database("orderhub_chassis"))


@pytest.fixture
async def orders(sender):
    async with Database.open(sender.url, service="orders") as db:
        yield db


class Recording:
    """A bus that remembers what it was given, and fails when it is told to."""

    def __init__(self):
        self.calls, self.failing = [], False

    async def publish(self, batches):
        if self.failing:
            raise Unavailable("the bus is away")
        self.calls.append(batches)

    @property
    def pairs(self):
        return [
            (record.key, int(AuthorizePayment.FromString(record.payload).token))
            for batches in self.calls
            for batch in batches
            for part in unpack(batch.data).parts
            for record in batch_from_bytes(part.batch).records
        ]


class Meeting:
    """A bus at whose door two relays meet, each with its rows read."""

    def __init__(self, bus, meeting):
        self._bus, self._meeting = bus, meeting

    async def publish(self, batches):
        await self._meeting.wait()
        await self._bus.publish(batches)


def a_relay(db, bus, holder="r"):
    return Relay(db, bus, holder, Readiness(opened=True))


async def send(db, world, *pairs):
    async with db.transaction() as tx:
        tx.send_all(world.command(*pair) for pair in pairs)


async def test_rows_go_out_in_the_order_of_their_ids_and_are_gone(orders, sender, world):
    bus = Recording()
    for n in range(5):
        await send(orders, world, ("a", n))
    relay = a_relay(orders, bus)
    await relay.drain()
    assert bus.pairs == [("a", n) for n in range(5)]
    assert await sender.value("select count(*) from outbox") == 0
    assert [tuple(r) for r in await sender.sql("select * from outbox_totals")] == [
        ("payments.commands.v1", 5)
    ]


async def test_a_smaller_id_that_commits_later_is_not_passed_over(orders, sender, world):
    bus, relay = Recording(), None
    late = await asyncpg.connect(sender.url)
    transaction = late.transaction()
    await transaction.start()
    await send(orders, world, ("late", 1))
    row = (await sender.sql("delete from outbox returning *"))[0]
    await late.execute(
        "insert into outbox (id, batch_id, topic, count, records, created_at)"
        " overriding system value values ($1, $2, $3, $4, $5, $6)",
        *(row[name] for name in ("id", "batch_id", "topic", "count", "records", "created_at")),
    )
    await send(orders, world, ("early", 1))
    relay = a_relay(orders, bus)
    await relay.round()
    assert bus.pairs == [("early", 1)]
    await transaction.commit()
    await late.close()
    await send(orders, world, ("next", 1))
    await relay.drain()
    assert bus.pairs == [("early", 1), ("late", 1), ("next", 1)]
    assert await sender.value("select count(*) from outbox") == 0


async def test_nothing_later_overtakes_what_could_not_be_published(orders, world):
    bus = Recording()
    await send(orders, world, ("a", 1))
    relay = a_relay(orders, bus)
    bus.failing = True
    with pytest.raises(Unavailable):
        await relay.round()
    await send(orders, world, ("a", 2))
    bus.failing = False
    await relay.drain()
    assert bus.pairs == [("a", 1), ("a", 2)]


async def test_only_the_holder_of_the_lease_publishes_and_another_takes_over_when_it_expires(
    orders, sender, world
):
    first, second = Recording(), Recording()
    await send(orders, world, ("a", 1))
    one, two = a_relay(orders, first, "one"), a_relay(orders, second, "two")
    assert await one.round() == 1
    await send(orders, world, ("a", 2))
    assert await two.round() == 0
    await sender.sql("update relay_lease set expires_at = clock_timestamp() - interval '1 ms'")
    assert await two.round() >= 1
    assert ("a", 2) in second.pairs
    await two.release()
    assert await sender.value("select count(*) from relay_lease") == 0


async def test_a_relay_that_lost_its_lease_notices_and_stops(orders, sender, world, monkeypatch):
    bus = Recording()
    one = a_relay(orders, bus, "one")
    await one.round()
    await sender.sql(
        "update relay_lease set holder = 'two', expires_at = clock_timestamp() + interval '1 min'"
    )
    now = asyncio.get_running_loop().time
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now() + 3)
    await send(orders, world, ("a", 1))
    assert await one.round() == 0
    assert bus.calls == []


async def test_two_relays_at_once_do_no_harm(orders, sender, world, eventually):
    expected = [(f"k{n % 5}", n) for n in range(60)]
    for pair in expected:
        await send(orders, world, pair)
    async with world.bus() as bus:
        both_have_read = asyncio.Barrier(2)
        relays = [a_relay(orders, Meeting(bus, both_have_read), name) for name in ("one", "two")]
        for relay in relays:
            relay._lease_until = float("inf")
        await asyncio.gather(*(relay.drain() for relay in relays))
        published = await world.bus_url.value("select sum(count) from log")
        async with world.running(world.spec()) as living:
            await eventually(world.applied(*expected))

            async def all_committed():
                return (await living.bus.lag("payments"))[world.topic.name] == 0

            await eventually(all_committed)
    assert published == 2 * len(expected), "both have published all of it"
    effects = await world.effects()
    assert len(effects) == len(expected)
    assert all(
        [n for k, n in effects if k == key] == [n for k, n in expected if k == key] for key, _ in expected
    )
    assert await sender.value("select messages from outbox_totals") == len(expected)


async def test_what_was_published_but_not_deleted_goes_out_again_under_the_same_name(orders, sender, world):
    bus = Recording()
    await send(orders, world, ("a", 1), ("b", 2))
    killed = a_relay(orders, bus, "killed")
    await killed.round()
    await sender.sql("delete from relay_lease")
    heir = a_relay(orders, bus, "heir")
    await heir.drain()
    once, again = ({batch.batch_id for batch in batches} for batches in bus.calls)
    assert once == again
    assert await sender.value("select messages from outbox_totals") == 2
    await killed.drain()
    assert await sender.value("select messages from outbox_totals") == 2, "deleted once, counted once"


async def test_a_bus_that_is_away_is_waited_for_and_readiness_says_so(orders, world, eventually):
    bus = Recording()
    bus.failing = True
    readiness = Readiness(opened=True)
    relay = Relay(orders, bus, "r", readiness)
    running = asyncio.create_task(relay.run())
    await send(orders, world, ("a", 1))

    async def unready():
        return readiness.report().get("relay") == "the bus is away"

    await eventually(unready)
    await send(orders, world, ("a", 2))
    bus.failing = False

    async def published():
        return bus.pairs == [("a", 1), ("a", 2)]

    await eventually(published)
    assert readiness.ok
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_through_outages_of_both_databases_everything_arrives_once_and_in_order(
    orders, sender, world, eventually
):
    numbers = range(40)
    async with world.running(world.spec()), world.bus() as bus, world.relaying(orders, bus):
        for number in numbers:
            while True:
                try:
                    await orders.run(lambda tx, n=number: _send(tx, world, n))
                    break
                except Unavailable:
                    await asyncio.sleep(0.01)
            if number in (10, 25):
                await world.bus_url.hang_up()
            if number in (15, 30):
                await sender.hang_up()
        await eventually(world.applied(some=len(numbers)), within=20)
        await eventually(lambda: _empty(sender))
    effects = [number for _, number in await world.effects()]
    # A commit whose answer was lost may have been sent twice by this loop, never by the relay.
    assert list(dict.fromkeys(effects)) == list(numbers)


async def _send(tx, world, number):
    tx.send(world.command("a", number))


async def _empty(sender):
    return await sender.value("select count(*) from outbox") == 0


async def test_a_commit_wakes_the_relay_before_its_poll(orders, sender, world, eventually, monkeypatch):
    monkeypatch.setattr("orderhub_chassis.relay.POLL_MIN", 60)
    monkeypatch.setattr("orderhub_chassis.relay.POLL_MAX", 60)
    bus = Recording()
    running = asyncio.create_task(a_relay(orders, bus).run())
    for count in (1, 2):
        await send(orders, world, ("a", count))
        # Without the hint it would look again in a minute.
        await eventually(lambda count=count: _has(bus, count), within=10)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def _has(bus, count):
    return bus.pairs == [("a", n + 1) for n in range(count)]


async def test_the_last_rows_are_deleted_although_nothing_follows(orders, sender, world, eventually):
    bus = Recording()
    relay = a_relay(orders, bus)
    running = asyncio.create_task(relay.run())
    await send(orders, world, ("a", 1))
    await eventually(lambda: _empty(sender))
    assert bus.pairs == [("a", 1)]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_topic_that_the_table_does_not_know_stops_the_relay_loudly(orders, sender, world):
    await send(orders, world, ("a", 1))
    await sender.sql("update outbox set topic = 'of.another.release'")
    with pytest.raises(KeyError, match=r"of\.another\.release"):
        await a_relay(orders, Recording()).round()
