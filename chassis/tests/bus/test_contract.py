"""What every bus adapter promises: see the docstring of `orderhub_chassis.bus.base`."""

from __future__ import annotations

import asyncio
import itertools
import threading
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from orderhub_chassis.bus.base import TopicMismatch
from orderhub_chassis.errors import Unavailable
from orderhub_chassis.messages import partition_of
from orderhub_contracts import topics


def test_the_keys_of_this_suite_cover_every_partition(kit):
    assert {partition_of(key, 12) for key in kit.keys} == set(range(12))


async def test_messages_of_a_key_arrive_in_the_order_of_publishing_whoever_else_publishes(adapter, kit):
    async def publish(bus, publisher):
        for number in range(20):
            await bus.publish([kit.batch(*((f"{publisher}-{key}", number) for key in kit.keys))])

    async with adapter.open() as first, adapter.open() as second, adapter.open() as reading:
        await asyncio.gather(*(publish(bus, n) for n, bus in enumerate([first, second, first, second])))
        async with reading.consumer("group", [kit.topic], "m") as consumer:
            pairs = kit.pairs(await kit.read(consumer, 4 * 20 * 12))
    numbers = {key: [n for k, n in pairs if k == key] for key, _ in pairs}
    assert len(numbers) == 4 * 12
    assert all(found == list(range(20)) for found in numbers.values())


async def test_batches_of_one_call_keep_their_order_and_their_names(adapter, kit):
    batches = [kit.batch(("k5", n), ("k6", n), ("k5", n + 100)) for n in range(30)]
    async with adapter.open() as bus, bus.consumer("group", [kit.topic], "m") as consumer:
        await bus.publish(batches)
        got = await kit.read(consumer, 90)
    assert [n for key, n in kit.pairs(got) if key == "k5"] == [n for i in range(30) for n in (i, i + 100)]
    assert {(d.batch_id, r.index) for d in got for r in d.records} == {
        (b.batch_id, index) for b in batches for index in range(3)
    }
    assert len({r.id for d in got for r in d.records}) == 90
    assert all(d.partition == partition_of(r.key, 12) for d in got for r in d.records)


async def test_publishing_nothing_does_nothing(adapter, kit):
    async with adapter.open() as bus:
        await bus.publish([])
        assert await adapter.keep(kit.topic) == 0


async def test_two_groups_read_everything_each(adapter, kit):
    async with (
        adapter.open() as bus,
        bus.consumer("one", [kit.topic], "m") as one,
        bus.consumer("two", [kit.topic], "m") as two,
    ):
        await bus.publish([kit.batch(("a", 1), ("b", 2))])
        assert sorted(kit.pairs(await kit.read(one, 2))) == sorted(kit.pairs(await kit.read(two, 2)))


async def test_what_was_not_committed_comes_again_and_nothing_before_it(adapter, kit):
    async with adapter.open() as bus:
        await bus.publish([kit.batch(("a", n)) for n in range(6)])
        async with bus.consumer("group", [kit.topic], "m") as consumer:
            got = await kit.read(consumer, 6)
            await consumer.commit([d for d in got if kit.pairs([d]) < [("a", 3)]])
        async with bus.consumer("group", [kit.topic], "m") as consumer:
            assert kit.pairs(await kit.read(consumer, 3)) == [("a", 3), ("a", 4), ("a", 5)]


async def test_an_earlier_poll_is_not_delivered_again_under_the_same_lease(adapter, kit):
    async with adapter.open() as bus, bus.consumer("group", [kit.topic], "m") as consumer:
        await bus.publish([kit.batch(("a", 1))])
        await kit.read(consumer, 1)
        assert await kit.nothing(consumer)


async def test_a_poll_brings_at_most_about_as_much_as_was_asked_for(adapter, kit):
    async with adapter.open() as bus, bus.consumer("group", [kit.topic], "m") as consumer:
        await bus.publish([kit.batch(*((key, n) for key in kit.keys)) for n in range(20)])
        first = await consumer.poll(24, timeout=5)
        assert 1 <= len(kit.pairs(first)) <= 36
        rest = await kit.read(consumer, 20 * 12 - len(kit.pairs(first)))
    assert len(set(kit.pairs([*first, *rest]))) == 20 * 12


async def test_commits_never_go_back(adapter, kit):
    async with adapter.open() as bus:
        await bus.publish([kit.batch(("a", n)) for n in range(4)])
        async with bus.consumer("group", [kit.topic], "m") as consumer:
            got = await kit.read(consumer, 4)
            await consumer.commit(got[3:])
            await consumer.commit(got[:1])
        async with bus.consumer("group", [kit.topic], "m") as consumer:
            await bus.publish([kit.batch(("a", 4))])
            assert kit.pairs(await kit.read(consumer, 1)) == [("a", 4)]


async def test_a_partition_is_fresh_until_its_first_commit(adapter, kit):
    async with adapter.open() as bus, bus.consumer("group", [kit.topic], "m") as consumer:
        await bus.publish([kit.batch(("k5", 1), ("k6", 1))])
        got = await kit.read(consumer, 2)
        assert all(consumer.fresh_since_assignment(d) for d in got)
        await consumer.commit([d for d in got if d.partition == 0])
        await bus.publish([kit.batch(("k5", 2), ("k6", 2))])
        again = await kit.read(consumer, 2)
        assert {d.partition: consumer.fresh_since_assignment(d) for d in again} == {0: False, 1: True}


async def test_the_first_commit_of_a_lease_is_durable_at_once(adapter, kit):
    async with adapter.open() as bus, bus.consumer("group", [kit.topic], "m") as consumer:
        await bus.publish([kit.batch(("a", 1))])
        await consumer.commit(await kit.read(consumer, 1))
        assert await bus.lag("group") == {kit.topic.name: 0}


async def test_lag_is_what_the_group_has_still_to_commit(adapter, kit, eventually):
    async with adapter.open() as bus:
        assert await bus.lag("group") == {}
        async with bus.consumer("group", [kit.topic, topics.ORDERS_REPLIES], "m") as consumer:
            await bus.publish([kit.batch(("a", n)) for n in range(5)])
            assert await bus.lag("group") == {kit.topic.name: 5, topics.ORDERS_REPLIES.name: 0}
            got = await kit.read(consumer, 5)
            await consumer.commit(got[:2])
            await consumer.commit(got[2:4])

            async def one_left():
                return (await bus.lag("group"))[kit.topic.name] == 1

            await eventually(one_left)


async def test_a_reader_never_skips_while_many_publish_at_once(adapter, kit):
    async def publish(bus, publisher):
        for number in range(25):
            await bus.publish([kit.batch((f"p{publisher}", number), (kit.keys[number % 12], -1))])

    async with (
        adapter.open() as one,
        adapter.open() as two,
        adapter.open() as reading,
        reading.consumer("group", [kit.topic], "m") as consumer,
    ):
        work = asyncio.gather(*(publish(bus, n) for n, bus in enumerate([one, two] * 6)))
        pairs = kit.pairs(await kit.read(consumer, 12 * 25 * 2))
        await work
    for publisher in range(12):
        assert [n for key, n in pairs if key == f"p{publisher}"] == list(range(25))


async def test_members_of_a_group_share_the_partitions_and_never_one_of_them(
    adapter, kit, witness, eventually
):
    stop = False
    async with (
        adapter.open() as publishing,
        adapter.open() as one,
        adapter.open() as two,
        adapter.open() as three,
    ):
        members = [
            asyncio.create_task(witness.follow(bus, kit, name, lambda: stop))
            for name, bus in (("a", one), ("b", two), ("c", three))
        ]
        numbers = itertools.count()

        async def all_have_read():
            number = next(numbers)
            await publishing.publish([kit.batch(*((key, number) for key in kit.keys))])
            return witness.read_by.keys() == {"a", "b", "c"}

        await eventually(all_have_read)
        total = next(numbers) * 12

        async def all_is_read():
            return len(witness.seen) == total

        await eventually(all_is_read)
        stop = True
        await asyncio.gather(*members)
    assert witness.broken == []
    assert witness.in_order()


async def test_a_partition_moves_only_when_nothing_of_it_is_under_way(adapter, kit):
    async with adapter.open(ttl=1.0) as bus, bus.consumer("group", [kit.topic], "a") as first:
        await bus.publish([kit.batch(*((key, 1) for key in kit.keys))])
        got = await kit.read(first, 12)
        async with adapter.open(ttl=1.0) as other, other.consumer("group", [kit.topic], "b") as second:
            assert await second.poll(100, timeout=0.8) == [], (
                "three heartbeats later the first still works on all"
            )
            await first.commit(got)
            await bus.publish([kit.batch(*((key, 2) for key in kit.keys))])
            moved = await kit.read(second, 6)
            assert {n for _, n in kit.pairs(moved)} == {2}
            assert len(kit.pairs(await kit.read(first, 6))) == 6


async def test_handover_under_load_loses_nothing_and_keeps_the_order(adapter, kit, witness, eventually):
    leaving: set[str] = set()
    async with (
        adapter.open() as publishing,
        adapter.open() as one,
        adapter.open() as two,
        adapter.open() as three,
    ):
        numbers = itertools.count()
        done = asyncio.Event()

        async def publish():
            while not done.is_set():
                number = next(numbers)
                await publishing.publish([kit.batch(*((key, number) for key in kit.keys))])
                await asyncio.sleep(0.005)

        def start(name, bus):
            return asyncio.create_task(witness.follow(bus, kit, name, lambda: name in leaving))

        async def reads(name):
            before = len(witness.read_by[name])
            return before > 0

        publisher = asyncio.create_task(publish())
        a = start("a", one)
        await eventually(lambda: reads("a"))
        b = start("b", two)
        await eventually(lambda: reads("b"))
        leaving.add("a")
        await a
        c = start("c", three)
        await eventually(lambda: reads("c"))
        leaving.add("b")
        await b
        done.set()
        await publisher
        total = next(numbers) * 12

        async def all_is_read():
            return len(witness.seen) == total

        await eventually(all_is_read)
        leaving.add("c")
        await c
    assert witness.broken == []
    assert witness.in_order()
    # Who leaves in peace has committed: nothing is read twice.
    assert witness.redelivered == 0


class Frozen:
    """A member in a thread and a loop of its own, which stands still when it is told to: no heartbeat, no commit."""

    def __init__(self, adapter, kit, count):
        self._adapter, self._kit, self._count = adapter, kit, count
        self.has_read, self.thaw = threading.Event(), threading.Event()
        self.after = {}
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()))

    async def _live(self):
        async with (
            self._adapter.open(ttl=1.0) as bus,
            bus.consumer("group", [self._kit.topic], "frozen") as consumer,
        ):
            got = await self._kit.read(consumer, self._count)
            self.after["held"] = all(consumer.holds(d) for d in got)
            self.has_read.set()
            self.thaw.wait(30)
            self.after["holds"] = any(consumer.holds(d) for d in got)
            await consumer.commit(got)

    @asynccontextmanager
    async def living(self):
        self._thread.start()
        try:
            assert await asyncio.to_thread(self.has_read.wait, 15)
            yield self
        finally:
            self.thaw.set()
            await asyncio.to_thread(self._thread.join)


async def test_a_frozen_member_loses_its_partitions_and_its_late_commit_is_refused(adapter, kit):
    async with adapter.open(ttl=1.0) as bus:
        await bus.publish([kit.batch(*((key, 1) for key in kit.keys))])
        async with (
            Frozen(adapter, kit, 12).living() as frozen,
            bus.consumer("group", [kit.topic], "heir") as heir,
        ):
            assert len(kit.pairs(await kit.read(heir, 12))) == 12
            frozen.thaw.set()
            await asyncio.to_thread(frozen._thread.join)
        assert frozen.after == {"held": True, "holds": False}
        async with bus.consumer("group", [kit.topic], "third") as third:
            # Had the late commit counted, nothing would come; the heir has committed nothing either.
            assert len(kit.pairs(await kit.read(third, 12))) == 12


async def test_a_topic_with_another_number_of_partitions_is_refused(adapter, kit, monkeypatch):
    async with adapter.open():
        pass
    changed = tuple(replace(t, partitions=6) if t == kit.topic else t for t in topics.TOPICS)
    monkeypatch.setattr(topics, "TOPICS", changed)
    with pytest.raises(TopicMismatch, match=r"payments\.commands\.v1 has 12 partitions, topics\.py says 6"):
        async with adapter.open():
            pass


async def test_without_hints_polling_still_finds_everything(adapter, kit):
    async with (
        adapter.open() as publishing,
        adapter.open() as bus,
        bus.consumer("group", [kit.topic], "m") as consumer,
    ):
        for number in range(3):
            waiting = asyncio.create_task(consumer.poll(10, timeout=10))
            await publishing.publish([kit.batch(("a", number))])
            assert kit.pairs(await waiting) == [("a", number)]


async def test_after_the_bus_restarted_publishing_and_reading_go_on(adapter, kit):
    async def read(consumer, seen):
        while len(seen) < 240:
            try:
                seen += [p for p in kit.pairs(await consumer.poll(50, timeout=0.2)) if p not in seen]
            except Unavailable:
                await asyncio.sleep(0.01)

    async with (
        adapter.open() as publishing,
        adapter.open() as bus,
        bus.consumer("group", [kit.topic], "m") as consumer,
    ):
        seen: list[tuple[str, int]] = []
        reading = asyncio.create_task(read(consumer, seen))
        for number in range(20):
            await kit.publish_surely(publishing, kit.batch(*((key, number) for key in kit.keys)))
            if number in (5, 10, 15):
                await adapter.hang_up()
        await asyncio.wait_for(reading, 20)
    assert all([n for key, n in seen if key == k] == list(range(20)) for k in kit.keys)


async def test_a_bus_that_is_away_says_so_to_publishers_and_readers_and_comes_back(adapter, kit, eventually):
    async with adapter.open(ttl=1.0) as bus, bus.consumer("group", [kit.topic], "m") as consumer:
        await bus.publish([kit.batch(("a", 1))])
        await consumer.commit(await kit.read(consumer, 1))
        await adapter.go_away()
        with pytest.raises(Unavailable):
            await bus.publish([kit.batch(("a", 2))])
        with pytest.raises(Unavailable):
            await consumer.poll(10, timeout=5)
        await adapter.come_back()

        async def published():
            try:
                await bus.publish([kit.batch(("a", 3))])
                return True
            except Unavailable:
                return False

        await eventually(published)

        async def read():
            try:
                return await consumer.poll(10, timeout=0.1)
            except Unavailable:
                return []

        assert kit.pairs(await eventually(read))[0] == ("a", 3)


async def test_a_member_without_partitions_notices_too_that_the_bus_is_away(adapter, kit):
    topic = kit.topic
    async with adapter.open(ttl=1.0) as bus, bus.consumer("group", [topic], "a") as first:
        assert await kit.nothing(first)
        async with adapter.open(ttl=1.0) as other, other.consumer("group", [topic], "b") as idle:
            await adapter.go_away()
            with pytest.raises(Unavailable):
                await kit.read(idle, 1)
            await adapter.come_back()


async def test_during_a_rolling_deploy_each_member_reads_only_the_topics_it_knows(adapter, kit, eventually):
    new = topics.ORDERS_REPLIES
    async with (
        adapter.open() as bus,
        adapter.open() as other,
        bus.consumer("group", [kit.topic], "old") as old,
        other.consumer("group", [kit.topic, new], "new") as modern,
    ):
        await bus.publish([kit.batch(*((key, 1) for key in kit.keys), topic=t) for t in (kit.topic, new)])
        read = {"old": [], "new": []}

        async def all_read():
            for name, member in (("old", old), ("new", modern)):
                found = await member.poll(50, timeout=0.05)
                await member.commit(found)  # what is under way is not given up to others
                read[name] += found
            return len({(d.topic, d.partition) for found in read.values() for d in found}) == 24

        await eventually(all_read)
    assert {d.topic for d in read["old"]} <= {kit.topic.name}
    assert len([d for d in read["new"] if d.topic == new.name]) == 12
