"""Ids and the wire: UUIDv7, Kafka's partitioner, and how a batch is packed."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orderhub_chassis import ids, messages
from orderhub_chassis.messages import (
    COMPRESSED_OVER,
    Outgoing,
    Undecodable,
    batch_from_bytes,
    murmur2,
    pack,
    partition_of,
    row_of,
    unpack,
    unplaced,
)
from orderhub_contracts import topics
from orderhub_contracts.events.v1.records_pb2 import PartitionedBatch, Record, RecordBatch, SagaRef
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


def packed(batch_id, records, time_us=0):
    unplaced = [(record.key, record.SerializeToString()) for record in records]
    return pack(batch_id, topics.ORDERS_EVENTS, unplaced, time_us)


@given(record_lists)
def test_a_packed_batch_is_what_went_in_cut_by_partition(records):
    batch_id = ids.uuid7()
    wanted = [(r.key, r.payload) for r in records]
    parts = unpack(row_of(packed(batch_id, records))).parts
    found = [(part.partition, r) for part in parts for r in batch_from_bytes(part.batch).records]
    assert all(partition == partition_of(r.key, 12) for partition, r in found)
    assert [(r.key, r.payload) for _, r in sorted(found, key=lambda f: f[1].index)] == wanted
    assert [p.count for p in parts] == [len(batch_from_bytes(p.batch).records) for p in parts]
    assert {r.id for _, r in found} == {f"{batch_id}.{n}" for n in range(len(records))}
    for part in parts:
        indexes = [r.index for r in batch_from_bytes(part.batch).records]
        assert indexes == sorted(indexes)


@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 129, 4_095, 4_096, 16_383, 16_384, 70_000])
def test_records_of_every_length_are_framed_as_protobuf_frames_them(size):
    batch_id, record = ids.uuid7(), Record(key="k", payload=b"x" * size)
    (part,) = packed(batch_id, [record]).parts
    record.id = f"{batch_id}.0"
    assert RecordBatch.FromString(part.batch) == RecordBatch(format_version=1, records=[record])


texts = st.text(max_size=40)
sagas = st.builds(
    SagaRef, order_id=texts, run_id=texts, step=st.integers(-1, 300), epoch=st.integers(0, 2**40),
    compensation=st.booleans(),
)  # fmt: skip
outgoing = st.builds(
    Outgoing, st.builds(CapturePayment, order_id=st.text(max_size=5_000)), texts,
    saga=st.none() | sagas, actor=texts, vendor_id=texts,
)  # fmt: skip


@given(st.lists(outgoing, min_size=1, max_size=5), texts, texts, st.integers(0, 2**60))
def test_what_is_written_field_by_field_is_the_record_that_protobuf_reads(sent, source, trace, time_us):
    batch_id = ids.uuid7()
    records = [unplaced(m, m.payload.SerializeToString(), source, trace) for m in sent]
    parts = pack(batch_id, topics.PAYMENTS_COMMANDS, records, time_us).parts
    found = {r.index: r for part in parts for r in batch_from_bytes(part.batch).records}
    assert [found[index] for index in range(len(sent))] == [
        Record(
            id=f"{batch_id}.{index}", key=m.key, type="orderhub.payments.v1.CapturePayment", source=source,
            payload=m.payload.SerializeToString(), time_us=time_us, traceparent=trace, actor=m.actor,
            vendor_id=m.vendor_id, saga=m.saga, index=index,
        )
        for index, m in enumerate(sent)
    ]  # fmt: skip


def test_records_that_are_packed_again_forget_the_place_that_they_had():
    first, second = ids.uuid7(), ids.uuid7()
    (part,) = packed(first, [Record(key="k", type="t")] * 3, time_us=7).parts
    again = packed(second, batch_from_bytes(part.batch).records[::-1])
    assert [(r.id, r.index, r.time_us) for r in batch_from_bytes(again.parts[0].batch).records] == [
        (f"{second}.{n}", n, 7) for n in range(3)
    ]


@pytest.mark.parametrize("size", [0, 100, COMPRESSED_OVER, 200_000])
def test_a_large_row_is_compressed_and_reads_as_what_was_packed(size):
    batch = packed(ids.uuid7(), [Record(key="k", payload=b"0123456789" * (size // 10))])
    row = row_of(batch)
    assert unpack(row) == batch
    if batch.ByteSize() <= COMPRESSED_OVER:
        assert row == batch.SerializeToString()
    else:
        assert row.startswith(b"\x28\xb5\x2f\xfd")
        assert len(row) < batch.ByteSize() / 10


def test_a_row_that_was_cut_short_or_grew_is_undecodable():
    row = row_of(packed(ids.uuid7(), [Record(key="k", payload=b"0123456789" * 1000)]))
    with pytest.raises(Undecodable, match="partitioned batch"):
        unpack(row[:-5])
    with pytest.raises(Undecodable, match="partitioned batch"):
        unpack(row[:4] + b"x" + row[5:])
    with pytest.raises(Undecodable, match="partitioned batch"):
        unpack(row + b"more")


def test_a_frame_that_announces_terabytes_is_undecodable_and_takes_no_memory():
    # RFC 8878, 3.1.1.1: a descriptor that announces eight bytes of content size in a single segment.
    frame = b"\x28\xb5\x2f\xfd\xe0" + (2**42).to_bytes(8, "little") + b"\x01\x00\x00"
    with pytest.raises(Undecodable, match=f"a frame of {2**42} bytes"):
        unpack(frame)


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


def test_threads_read_and_write_large_batches_at_once() -> None:
    """The loop reads rows of its outbox while the bus's producers read others: each in a thread of its own."""

    def there_and_back(seed: int) -> bool:
        noise = random.Random(seed)
        for _ in range(40):
            records = [(f"k{n}", noise.randbytes(40).hex().encode() * 20) for n in range(60)]
            packed = pack(UUID(int=seed), topics.ORDERS_EVENTS, records)
            if unpack(row_of(packed)) != packed:
                return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(there_and_back, range(8))) == [True] * 8
