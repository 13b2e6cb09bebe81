"""The topics of topics.py on the brokers: made where they are missing, compared where they are there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import confluent_kafka as kafka
from confluent_kafka import admin
from orderhub_contracts import topics
from orderhub_contracts.topics import Topic

from orderhub_chassis.bus.base import TopicMismatch
from orderhub_chassis.bus.kafka.cluster import ANSWER_SECONDS, Administration, Cluster, unavailable
from orderhub_chassis.errors import Unavailable

IN_SYNC: Final = 2
"""Copies that have to have a message before it is acknowledged, where a topic has at least three."""
NEEDED_BYTES: Final = topics.MAX_MESSAGE_BYTES + 64 * 1024
"""What a record may take at most, headers and framing included."""
READY_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class Difference:
    """What a topic has and what it should have. With `fatal` nothing can be sent to it in order.

    `missing` and `leaderless` may pass: brokers learn of a topic one after another, and elect a leader when one is lost.
    """

    topic: str
    what: str
    there: str
    wanted: str
    fatal: bool = False
    missing: bool = False
    leaderless: bool = False

    def __str__(self) -> str:
        return f"topic {self.topic} has {self.there} {self.what}, {self.wanted}"


async def ensure(cluster: Cluster, brokers: Administration) -> list[Difference]:
    """Make what is missing; returns what differs. Raises TopicMismatch for what cannot be worked with, Unavailable."""
    there = set((await brokers.ask(_listed)).topics)
    missing = [topic for topic in topics.TOPICS if cluster.prefix + topic.name not in there]
    if missing:
        await brokers.ask(lambda client: _create(cluster, client, missing))
    found = await _once_all_know(cluster, brokers)
    if fatal := [difference for difference in found if difference.fatal]:
        raise TopicMismatch("; ".join(map(str, fatal)))
    return found


async def _once_all_know(cluster: Cluster, brokers: Administration) -> list[Difference]:
    """A broker may not know yet of a topic that another one has just made, or of its leaders."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + READY_SECONDS
    while True:
        found = await differences(cluster, brokers)
        unknown = [difference.topic for difference in found if difference.missing or difference.leaderless]
        if not unknown:
            return found
        if loop.time() > deadline:
            raise Unavailable(f"Kafka: no broker leads {', '.join(unknown)}")
        await asyncio.sleep(0.05)


async def differences(cluster: Cluster, brokers: Administration) -> list[Difference]:
    """What the brokers have otherwise than topics.py and the settings say; a topic that is missing is one."""
    described = (await brokers.ask(_listed)).topics
    there = [topic for topic in topics.TOPICS if cluster.prefix + topic.name in described]
    settings = await brokers.ask(lambda client: _settings(cluster, client, there))
    found = [
        Difference(topic.name, "copies", "no", "it is missing", fatal=True, missing=True)
        for topic in topics.TOPICS
        if topic not in there
    ]
    for topic in there:
        found += _compared(
            cluster, topic, described[cluster.prefix + topic.name].partitions, settings[topic.name]
        )
    return found


def places(cluster: Cluster, client: admin.AdminClient) -> list[tuple[str, int]]:
    """Topic, without the prefix, and partition: all that the brokers have of the topics of topics.py."""
    described = _listed(client).topics
    return [
        (topic.name, number)
        for topic in topics.TOPICS
        if (there := described.get(cluster.prefix + topic.name)) is not None
        for number in there.partitions
    ]


def _listed(client: admin.AdminClient) -> Any:
    return client.list_topics(timeout=ANSWER_SECONDS)


def _compared(
    cluster: Cluster, topic: Topic, partitions: dict[int, Any], settings: dict[str, str]
) -> Iterator[Difference]:
    if not partitions or any(partition.leader < 0 for partition in partitions.values()):
        yield Difference(
            topic.name, "leader for each of its partitions", "no", "brokers are lost or were just made", leaderless=True
        )  # fmt: skip
        return
    if len(partitions) != topic.partitions:
        yield Difference(
            topic.name, "partitions", str(len(partitions)), f"topics.py says {topic.partitions}", fatal=True
        )
    copies = min((len(p.replicas) for p in partitions.values()), default=0)
    if copies < cluster.replication:
        yield Difference(
            topic.name, "copies", str(copies), f"ORDERHUB_KAFKA_REPLICATION is {cluster.replication}"
        )
    wanted = int(topic.retention.total_seconds() * 1000)
    if 0 <= int(settings["retention.ms"]) < wanted:
        yield Difference(topic.name, "ms of retention", settings["retention.ms"], f"topics.py says {wanted}")
    if int(settings["max.message.bytes"]) < NEEDED_BYTES:
        yield Difference(
            topic.name, "bytes as the largest message", settings["max.message.bytes"],
            f"up to {NEEDED_BYTES} are needed", fatal=True,
        )  # fmt: skip
    if cluster.replication > IN_SYNC > int(settings["min.insync.replicas"]):
        yield Difference(
            topic.name, "min.insync.replicas", settings["min.insync.replicas"],
            f"with fewer than {IN_SYNC} an acknowledged message can be lost with one broker",
        )  # fmt: skip


def _create(cluster: Cluster, client: admin.AdminClient, missing: Sequence[Topic]) -> None:
    wanted = [_new(cluster, topic) for topic in missing]
    for name, future in client.create_topics(wanted, request_timeout=ANSWER_SECONDS).items():
        try:
            future.result()
        except kafka.KafkaException as error:
            _judge(name, error.args[0], cluster)


def _new(cluster: Cluster, topic: Topic) -> admin.NewTopic:
    config = {
        "retention.ms": str(int(topic.retention.total_seconds() * 1000)),
        "min.insync.replicas": str(min(IN_SYNC, max(1, cluster.replication - 1))),
        "cleanup.policy": "delete",
        "max.message.bytes": str(max(NEEDED_BYTES, 1_048_588)),
    }
    return admin.NewTopic(
        cluster.prefix + topic.name, topic.partitions, replication_factor=cluster.replication, config=config
    )


def _judge(name: str, error: kafka.KafkaError, cluster: Cluster) -> None:
    """Somebody else may have made it meanwhile; what will not get better by waiting is told as a mistake."""
    if error.code() == kafka.KafkaError.TOPIC_ALREADY_EXISTS:
        return
    if error.code() == kafka.KafkaError.INVALID_REPLICATION_FACTOR:
        raise TopicMismatch(
            f"topic {name} cannot be made with {cluster.replication} copies: {error.str()};"
            " set ORDERHUB_KAFKA_REPLICATION to at most the number of brokers"
        )
    if error.code() in (
        kafka.KafkaError.TOPIC_AUTHORIZATION_FAILED,
        kafka.KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    ):
        raise TopicMismatch(f"topic {name} is missing and may not be made by this user: {error.str()}")
    raise unavailable(error)


def _settings(
    cluster: Cluster, client: admin.AdminClient, there: Sequence[Topic]
) -> dict[str, dict[str, str]]:
    resources = {
        admin.ConfigResource(admin.ConfigResource.Type.TOPIC, cluster.prefix + topic.name): topic.name
        for topic in there
    }
    if not resources:
        return {}
    answers = client.describe_configs(list(resources), request_timeout=ANSWER_SECONDS)
    return {
        resources[resource]: {name: entry.value for name, entry in future.result().items()}
        for resource, future in answers.items()
    }
