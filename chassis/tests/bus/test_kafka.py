"""What only brokers can do: topics that differ, and logins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    ResourceType,
)
from orderhub_chassis import messages
from orderhub_chassis.bus.base import TopicMismatch
from orderhub_chassis.bus.kafka import catalogue
from orderhub_chassis.bus.kafka import member as members
from orderhub_chassis.bus.kafka.bus import KafkaBus
from orderhub_chassis.bus.kafka.cluster import Cluster
from orderhub_chassis.bus.kafka.positions import Positions
from orderhub_chassis.errors import Unavailable
from orderhub_chassis.ids import uuid7
from orderhub_chassis.messages import partition_of
from orderhub_chassis.settings import KafkaSettings
from orderhub_contracts import topics

pytestmark = [pytest.mark.backends, pytest.mark.xdist_group("kafka-proxied")]


async def administer(cluster: Cluster, question: Callable[[AdminClient], dict[Any, Any]]) -> None:
    """Ask for changes, and wait until they are made."""

    def change(client: AdminClient) -> None:
        for future in question(client).values():
            future.result()

    await cluster.admin().ask(change)


async def alter(cluster: Cluster, topic: topics.Topic, name: str, value: str) -> None:
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, cluster.prefix + topic.name, incremental_configs=[entry])
    await administer(cluster, lambda client: client.incremental_alter_configs([resource]))


async def forget(cluster: Cluster) -> None:
    names = [cluster.prefix + topic.name for topic in topics.TOPICS]
    await administer(cluster, lambda client: client.delete_topics(names))


async def test_topics_are_made_as_the_table_says(on_kafka):
    async with on_kafka.open():
        brokers = on_kafka.cluster.admin()
        assert await catalogue.differences(on_kafka.cluster, brokers) == []
        described = (await brokers.ask(lambda client: client.list_topics(timeout=10))).topics
        for topic in topics.TOPICS:
            partitions = described[on_kafka.cluster.prefix + topic.name].partitions
            assert {len(p.replicas) for p in partitions.values()} == {3}
            assert len(partitions) == topic.partitions


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("retention.ms", "1000", "has 1000 ms of retention, topics.py says 604800000"),
        ("min.insync.replicas", "1", "has 1 min.insync.replicas, with fewer than 2"),
    ],
)
async def test_what_differs_is_named(on_kafka, kit, eventually, name, value, said):
    async with on_kafka.open():
        await alter(on_kafka.cluster, kit.topic, name, value)
        brokers = on_kafka.cluster.admin()

        async def known():
            return await catalogue.differences(on_kafka.cluster, brokers)

        found = await eventually(known)
        assert [str(difference) for difference in found] == [
            difference
            for difference in map(str, found)
            if said in difference and kit.topic.name in difference
        ]
        assert len(found) == 1
    async with on_kafka.open():
        pass  # it can still be worked with


async def test_fewer_copies_than_wanted_are_named(on_kafka, kit):
    async with on_kafka.open():
        pass
    more = replace(on_kafka.cluster, replication=5)
    found = await catalogue.differences(more, more.admin())
    assert {str(d) for d in found} == {
        f"topic {topic.name} has 3 copies, ORDERHUB_KAFKA_REPLICATION is 5" for topic in topics.TOPICS
    }


def refusal_of(adapter):
    """What `eventually` asks until it is refused: a change of a topic reaches one broker after the other."""

    async def ask() -> str:
        try:
            async with adapter.open():
                return ""
        except TopicMismatch as error:
            return str(error)

    return ask


async def test_a_topic_that_takes_too_small_messages_is_refused(on_kafka, kit, eventually):
    async with on_kafka.open():
        await alter(on_kafka.cluster, kit.topic, "max.message.bytes", "100000")
    refusal = await eventually(refusal_of(on_kafka))
    assert "has 100000 bytes as the largest message, up to" in refusal


async def test_a_topic_that_somebody_gave_more_partitions_is_refused(on_kafka, kit, eventually):
    async with on_kafka.open():
        more = NewPartitions(on_kafka.cluster.prefix + kit.topic.name, 13)
        await administer(on_kafka.cluster, lambda client: client.create_partitions([more]))
    refusal = await eventually(refusal_of(on_kafka))
    assert "payments.commands.v1 has 13 partitions, topics.py says 12" in refusal


async def test_positions_are_found_in_an_installation_without_a_prefix(on_kafka, kit):
    """The default: all other tests have one, as they share brokers."""
    async with on_kafka.open() as bus:
        await bus.publish([kit.batch(("k5", 1), ("k5", 2))])
        place = (on_kafka.cluster.prefix + kit.topic.name, partition_of("k5", kit.topic.partitions))
        positions = Positions(replace(on_kafka.cluster, prefix=""))
        assert await positions.begins([place]) == {place: 0}
        assert await positions.ends([place]) == {place: 2}
        assert await positions.confirmed("nobody-has-joined-it", [place]) == {}


async def test_more_copies_than_brokers_is_a_mistake_that_says_what_to_set(on_kafka):
    on_kafka.cluster = replace(on_kafka.cluster, replication=4)
    with pytest.raises(
        TopicMismatch, match="set ORDERHUB_KAFKA_REPLICATION to at most the number of brokers"
    ):
        async with on_kafka.open():
            pass
    on_kafka.cluster = replace(on_kafka.cluster, replication=3)
    async with on_kafka.open():
        pass


async def test_the_largest_message_passes(on_kafka, kit):
    record = kit._record("a", 1)
    record.payload = b"x" * topics.MAX_MESSAGE_BYTES
    batch_id = uuid7()
    packed = messages.pack(batch_id, kit.topic, [("a", record.SerializeToString())])
    batch = messages.OutboxBatch.of_row(batch_id, kit.topic, messages.row_of(packed))
    async with on_kafka.open() as bus, bus.consumer("group", [kit.topic], "m") as consumer:
        await bus.publish([batch])
        got = await kit.read(consumer, 1)
    assert len(got[0].records[0].payload) == topics.MAX_MESSAGE_BYTES


async def test_members_share_nothing_with_those_of_another_prefix(on_kafka, kit, monkeypatch):
    other = replace(on_kafka.cluster, prefix=f"{on_kafka.cluster.prefix}other.")
    async with on_kafka.open() as bus, KafkaBus.open(other, "other") as stranger:
        await bus.publish([kit.batch(("a", 1))])
        async with stranger.consumer("group", [kit.topic], "m") as consumer:
            assert await kit.nothing(consumer)
        assert bus.identity != stranger.identity
    await forget(other)


class Changing:
    """The client library in the moment in which the group has changed: so many commits are refused."""

    def __init__(self, client: Any, times: int) -> None:
        self.client, self.times = client, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def commit(self, **options: Any) -> Any:
        if self.times:
            self.times -= 1
            raise KafkaException(KafkaError(KafkaError.ILLEGAL_GENERATION))
        return self.client.commit(**options)


async def test_a_first_commit_during_a_rebalance_is_durable_when_it_returns(on_kafka, kit):
    async with on_kafka.open() as bus, bus.consumer("group", [kit.topic], "m") as consumer:
        await bus.publish([kit.batch(("a", 1))])
        got = await kit.read(consumer, 1)
        consumer._client = changing = Changing(consumer._client, 2)
        await consumer.commit(got)
        assert changing.times == 0
        assert await bus.lag("group") == {kit.topic.name: 0}


async def test_what_waits_in_a_member_is_bounded_and_comes_after_rebalances_too(
    on_kafka, kit, monkeypatch, eventually
):
    monkeypatch.setattr(members, "BUFFERED_MOST", 200)
    monkeypatch.setattr(members, "FETCHED_AT_ONCE", 50)
    everything = {(key, number) for key in kit.keys for number in range(200)}
    async with (
        on_kafka.open() as bus,
        on_kafka.open() as other,
        bus.consumer("group", [kit.topic], "slow") as slow,
    ):
        await bus.publish([kit.batch(*((key, number) for key in kit.keys)) for number in range(200)])

        async def holds_back():
            return slow._paused

        await eventually(holds_back)
        async with other.consumer("group", [kit.topic], "guest") as guest:
            await kit.read(guest, 1)
            assert len(slow._buffer) <= 200 + 51
        seen: set[tuple[str, int]] = set()

        async def all_seen():
            seen.update(kit.pairs(await slow.poll(100, timeout=0.1)))
            return seen == everything

        await eventually(all_seen, within=30)


# --- logins ---------------------------------------------------------------------------------------------------------


def secured(backend: Any, **over: Any) -> Cluster:
    found = backend("kafka-secure")
    values = {
        "kafka_security": "sasl_ssl", "kafka_ca": found["ca"], "kafka_username": found["user"],
        "kafka_password": found["password"], "kafka_replication": 1, "kafka_prefix": f"s-{id(over)}.", **over,
    }  # fmt: skip
    cluster = Cluster.of(f"kafka://{found['servers']}", KafkaSettings(**values))
    return replace(cluster, ttl=timedelta(seconds=6), patience=timedelta(seconds=5))


async def test_messages_pass_a_broker_that_demands_tls_and_a_login(backend, kit, monkeypatch):
    monkeypatch.setattr(topics, "TOPICS", (kit.topic,))
    cluster = secured(backend)
    async with KafkaBus.open(cluster, "bus") as bus, bus.consumer("group", [kit.topic], "m") as consumer:
        await bus.publish([kit.batch(("a", 1))])
        assert kit.pairs(await kit.read(consumer, 1)) == [("a", 1)]
    await forget(cluster)


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"kafka_password": "wrong"}, "(?i)authentication"),
        ({"kafka_username": "nobody"}, "(?i)authentication"),
        ({"kafka_ca": ""}, "(?i)ssl|certificate"),
    ],
    ids=["wrong-password", "unknown-user", "unknown-authority"],
)
async def test_a_login_that_fails_says_why(backend, over, said, monkeypatch):
    monkeypatch.setattr(catalogue, "ANSWER_SECONDS", 3.0)
    with pytest.raises(Unavailable, match=said):
        async with KafkaBus.open(secured(backend, **over), "bus"):
            pass
