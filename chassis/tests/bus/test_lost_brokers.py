"""Brokers that are killed and come back: what was acknowledged is there, and in order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest
from orderhub_backends.control import Backends
from orderhub_chassis.bus.kafka.bus import KafkaBus
from orderhub_chassis.bus.kafka.cluster import Cluster
from orderhub_chassis.errors import Unavailable
from orderhub_contracts import topics

pytestmark = [pytest.mark.backends, pytest.mark.breaking]

NODES = ("kafka-1", "kafka-2", "kafka-3")


@pytest.fixture
def brokers(breakable: Backends) -> Iterator[Backends]:
    """A cluster of which all three run again at the end, whatever a test does to them."""
    list(breakable.up(["kafka"]))
    yield breakable
    lost = [name for name in NODES if not breakable.is_running(name)]
    for name in lost:
        breakable.start(name, wait=name == lost[-1])


async def read_until(consumer, kit, seen, total):
    """Each message once, in the order in which it came first."""
    while sum(map(len, seen.values())) < total:
        try:
            got = await consumer.poll(200, timeout=0.5)
            await consumer.commit(got)
        except Unavailable:
            await asyncio.sleep(0.05)
            continue
        for key, number in kit.pairs(got):
            if number not in seen.setdefault(key, []):
                seen[key].append(number)


@pytest.mark.parametrize("lost", [NODES[1:2], NODES[::2], NODES], ids=["one", "two", "all"])
async def test_brokers_that_are_killed_and_come_back_lose_nothing(kit, brokers, monkeypatch, lost):
    """Without one of three all goes on; without two nothing is acknowledged; whatever was acknowledged is there."""

    def everybody(number):
        return kit.batch(*((key, number) for key in kit.keys))

    monkeypatch.setattr(topics, "TOPICS", (kit.topic,))
    cluster = Cluster(
        brokers.address("kafka")["servers"], prefix=f"lost-{len(lost)}.", ttl=timedelta(seconds=6), patience=timedelta(seconds=5)
    )  # fmt: skip
    seen: dict[str, list[int]] = {}
    async with (
        KafkaBus.open(cluster, "bus") as bus,
        bus.consumer("group", [kit.topic], "m") as consumer,
    ):
        for number in range(5):
            await kit.publish_surely(bus, everybody(number))
        for name in lost:
            await asyncio.to_thread(brokers.kill, name)
        publishing = asyncio.create_task(kit.publish_surely(bus, everybody(5)))
        if len(lost) == 1:
            await asyncio.wait_for(publishing, 90)
        else:
            with pytest.raises(Unavailable):
                await bus.publish([kit.batch(("unheard", 0))])
            assert not publishing.done()
        for name in lost:
            await asyncio.to_thread(brokers.start, name, wait=False)
        await asyncio.wait_for(publishing, 90)
        await kit.publish_surely(bus, everybody(6))
        await asyncio.wait_for(read_until(consumer, kit, seen, 7 * 12), 90)
    assert {key: seen[key] for key in kit.keys} == {key: list(range(7)) for key in kit.keys}
