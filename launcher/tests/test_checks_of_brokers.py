"""What `check` reads of brokers: here librdkafka's own imitation of some; the real ones are asked in tests/e2e."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import UUID

import confluent_kafka as kafka
import pytest
from orderhub.checks import brokers
from orderhub_chassis.bus.kafka.cluster import Cluster

TOPIC = brokers.READ[0]
BATCH = UUID(int=7)


@pytest.fixture
def producer() -> Iterator[kafka.Producer]:
    made = kafka.Producer({"bootstrap.servers": "imitated", "test.mock.num.brokers": 1, "log_level": 0})
    yield made
    made.flush(5)


def cluster_of(producer: kafka.Producer) -> Cluster:
    there = producer.list_topics(timeout=10).brokers.values()
    return Cluster(",".join(f"{broker.host}:{broker.port}" for broker in there))


async def test_the_end_of_a_topic_is_not_waited_for(
    producer: kafka.Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The patience is for brokers that say nothing: it was waited out at the end of every reading."""
    monkeypatch.setattr(brokers, "PATIENCE_SECONDS", 40.0)
    log = brokers.BrokersLog(cluster_of(producer))
    for index in (0, 1, 1):
        producer.produce(TOPIC, b"", headers={"ce_id": f"{BATCH}.{index}"}, partition=0)
    assert producer.flush(10) == 0
    async with asyncio.timeout(20):
        (row,) = await asyncio.to_thread(log._read, {(TOPIC, 0): 3, (TOPIC, 1): 0})
    assert row == {"batch_id": BATCH, "partition": 0, "count": 2, "position": 1, "topic": TOPIC}
