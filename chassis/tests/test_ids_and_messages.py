"""Ids and the wire: UUIDv7, Kafka's partitioner, and how a batch is packed."""

from __future__ import annotations

import time
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orderhub_chassis import ids, messages
from orderhub_chassis.messages import Undecodable, batch_from_bytes, murmur2, pack, partition_of, unpack
from orderhub_contracts import topics
from orderhub_contracts.events.v1.records_pb2 import PartitionedBatch, Record, RecordBatch
from orderhub_contracts.payments.v1.commands_pb2 import CapturePayment


def test_uuid7_has_the_version_the_variant_and_the_time(monkeypatch):
    before = time.time_ns() // 1_000_000
    made = [UUID(str(ids.uuid7())) for _ in range(2000)]
    after = time.time_ns() // 1_000_000
    assert {u.version for u in made} == {7}
    assert {u.variant for u in made} == {"specified in RFC 4122"}
    assert all(before <= u.int >> 80 <= after for u in made)
    assert len(set(made)) == len(made)


def test_uuid7_grows_with_the_milliseconds(monkeypatch):
    times = [1_767_225_600_000 + n for n in range(300)]
    ticks = iter(times)
    monkeypatch.setattr(ids.time, "time_ns", lambda: next(ticks) * 1_000_000 + 999_999)
    made = [ids.uuid7() for _ in times]
    monkeypatch.undo()
    assert made == sorted(made)
    assert [u.int >> 80 for u in made] == times


def test_the_random_bits_of_uuid7_are_all_in_use():
    made = [ids.uuid7().int for _ in range(300)]
    ones = zeros = 0
    for value in made:
        ones |= value
        zeros |= ~value
    random_bits = (1 << 76) - 1 & ~(0b11 << 62)
    assert ones & random_bits == random_bits
    assert zeros & random_bits == random_bits


def test_an_id_made_by_the_driver_is_a_uuid_to_everybody():
    made, plain = ids.uuid7(), uuid4()
    assert isinstance(made, UUID)
    assert UUID(str(made)) == made
    assert ids.parse(str(plain)) == plain
    assert hash(ids.parse(str(plain))) == hash(plain)
    assert sorted([made, plain]) == sorted([plain, made])
    with pytest.raises(ValueError):
        ids.parse("not one")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        # Kafka's own vectors: org.apache.kafka.common.utils.UtilsTest.testMurmur2.
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_kafkas(key, expected):
    assert murmur2(key) == expected % 2**32


def test_partition_is_the_positive_hash_modulo_the_partitions():
    assert partition_of("foobar", 12) == (-790332482 & 0x7FFFFFFF) % 12
    assert partition_of("21", 7) == (-973932308 & 0x7FFFFFFF) % 7


@given(st.text(max_size=60), st.integers(1, 64))
def test_every_key_has_a_partition(key, partitions):
    assert 0 <= partition_of(key, partitions) < partitions


record_lists = st.lists(
    st.builds(
        lambda k, p: Record(key=k, payload=p, type="t"), st.sampled_from("abcdefgh"), st.binary(max_size=300)
    ),
    min_size=1,
    max_size=30,
)


@given(record_lists)
def test_a_packed_batch_is_what_went_in_cut_by_partition(records):
    batch_id = ids.uuid7()
    wanted = [(r.key, r.payload) for r in records]
    parts = unpack(pack(batch_id, topics.ORDERS_EVENTS, records).SerializeToString()).parts
    found = [(part.partition, r) for part in parts for r in batch_from_bytes(part.batch).records]
    assert all(partition == partition_of(r.key, 12) for partition, r in found)
    assert [(r.key, r.payload) for _, r in sorted(found, key=lambda f: f[1].index)] == wanted
    assert [p.count for p in parts] == [len(batch_from_bytes(p.batch).records) for p in parts]
    assert {r.id for _, r in found} == {f"{batch_id}.{n}" for n in range(len(records))}
    for part in parts:
        indexes = [r.index for r in batch_from_bytes(part.batch).records]
        assert indexes == sorted(indexes)


@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 129, 16_383, 16_384, 70_000])
def test_records_of_every_length_are_framed_as_protobuf_frames_them(size):
    record = Record(key="k", payload=b"x" * size)
    (part,) = pack(ids.uuid7(), topics.ORDERS_EVENTS, [record]).parts
    assert part.batch == RecordBatch(format_version=1, records=[record]).SerializeToString()


def test_what_cannot_be_read_says_why():
    with pytest.raises(Undecodable, match="unknown message type 'x'"):
        messages.decode(Record(type="x"))
    with pytest.raises(Undecodable, match=r"orderhub\.payments\.v1\.CapturePayment"):
        messages.decode(Record(type=CapturePayment.DESCRIPTOR.full_name, payload=b"\x0a\xff"))
    with pytest.raises(Undecodable, match="record batch of format version 2"):
        batch_from_bytes(RecordBatch(format_version=2).SerializeToString())
    with pytest.raises(Undecodable, match="record batch"):
        batch_from_bytes(b"\xff")
    with pytest.raises(Undecodable, match="partitioned batch of format version 0"):
        unpack(PartitionedBatch().SerializeToString())
    with pytest.raises(Undecodable, match="partitioned batch"):
        unpack(b"\xff")


def test_decode_gives_the_message_that_was_sent():
    sent = CapturePayment(order_id="o")
    record = Record(type=CapturePayment.DESCRIPTOR.full_name, payload=sent.SerializeToString())
    assert messages.decode(record) == sent
