"""The table of topics: every row can carry its messages, and what may never change has not."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta

import pytest
from google.protobuf.descriptor import FieldDescriptor
from orderhub_contracts import topics
from orderhub_contracts.events.v1.records_pb2 import MessageDeadLettered, Record, RecordBatch
from orderhub_contracts.topics import Topic

PARTITIONS = {
    "inventory.commands.v1": 12,
    "payments.commands.v1": 12,
    "delivery.commands.v1": 12,
    "orders.replies.v1": 12,
    "orders.events.v1": 12,
    "payments.events.v1": 12,
    "delivery.events.v1": 12,
    "inventory.events.v1": 12,
    "auth.events.v1": 12,
    "logs.v1": 12,
    "orders.dlq.v1": 12,
    "inventory.dlq.v1": 12,
    "payments.dlq.v1": 12,
    "delivery.dlq.v1": 12,
}
"""A key's partition is its hash modulo this. A topic that needs more is a new version: add a row, change none."""

ROWS = [pytest.param(topic, message, id=f"{topic.name}-{message.DESCRIPTOR.name}")
        for topic in topics.TOPICS for message in topic.messages]  # fmt: skip


def test_the_partitions_of_a_topic_never_change():
    assert {topic.name: topic.partitions for topic in topics.TOPICS} == PARTITIONS


@pytest.mark.parametrize(("topic", "message"), ROWS)
def test_a_row_carries_each_of_its_messages_there_and_back(topic: Topic, message):
    sent = message()
    _set(sent, topic.key.split("."), "the key")
    record = Record(type=message.DESCRIPTOR.full_name, key="the key", payload=sent.SerializeToString())
    data = RecordBatch(format_version=1, records=[record]).SerializeToString()
    (received,) = RecordBatch.FromString(data).records
    decoded = topics.MESSAGE_OF[received.type].FromString(received.payload)
    assert type(decoded) is message
    assert decoded == sent
    assert _get(decoded, topic.key.split(".")) == "the key"


def _set(message, path, value):
    for part in path[:-1]:
        message = getattr(message, part)
    setattr(message, path[-1], value)


def _get(message, path):
    for part in path:
        message = getattr(message, part)
    return message


@pytest.mark.parametrize(("topic", "message"), ROWS)
def test_the_key_of_a_row_is_a_text_field_of_each_of_its_messages(topic: Topic, message):
    descriptor = message.DESCRIPTOR
    *inner, last = topic.key.split(".")
    for part in inner:
        descriptor = descriptor.fields_by_name[part].message_type
    assert descriptor.fields_by_name[last].type == FieldDescriptor.TYPE_STRING


def test_every_message_belongs_to_one_topic():
    count = Counter(message for topic in topics.TOPICS for message in topic.messages)
    assert [m.DESCRIPTOR.full_name for m, n in count.items() if n > 1] == [
        MessageDeadLettered.DESCRIPTOR.full_name
    ]
    assert count.keys() - topics.TOPIC_OF.keys() == {MessageDeadLettered}
    assert all(message in topic.messages for message, topic in topics.TOPIC_OF.items())


def test_every_message_is_found_by_its_name():
    assert {name: m.DESCRIPTOR.full_name for name, m in topics.MESSAGE_OF.items()} == {
        m.DESCRIPTOR.full_name: m.DESCRIPTOR.full_name for t in topics.TOPICS for m in t.messages
    }


def test_names_are_unique_and_follow_the_rule():
    names = [topic.name for topic in topics.TOPICS]
    assert len(set(names)) == len(names) == len(topics.BY_NAME)
    rule = re.compile(r"^([a-z]+\.(commands|replies|events|dlq)|logs)\.v\d+$")
    assert [name for name in names if not rule.match(name)] == []


def test_dead_letters_have_a_topic_for_each_consumer():
    assert set(topics.DEAD_LETTERS) == set(topics.CONSUMERS)
    assert all(topic.name == f"{name}.dlq.v1" for name, topic in topics.DEAD_LETTERS.items())
    commands = {topic.name.split(".")[0] for topic in topics.TOPICS if ".commands." in topic.name}
    assert commands <= set(topics.CONSUMERS), "whoever takes commands can give them up"


def test_commands_and_replies_are_keyed_by_the_order():
    keyed = {topic.key for topic in topics.TOPICS if re.search(r"\.(commands|replies)\.", topic.name)}
    assert keyed == {"order_id"}


def test_everything_is_kept_long_enough_to_mend_what_reads_it():
    for topic in topics.TOPICS:
        assert timedelta(days=3) <= topic.retention <= timedelta(days=30)
    assert topics.MAX_MESSAGE_BYTES < 1024 * 1024, "what a Kafka broker takes by default"
