"""Messages on their way: what a decision sends, what a consumer gets, and which partition a key has."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any, Final
from uuid import UUID

import msgspec
import zstandard
from google.protobuf.message import DecodeError, Message
from orderhub_contracts import topics
from orderhub_contracts.events.v1 import records_pb2
from orderhub_contracts.events.v1.records_pb2 import PartitionedBatch, Record, RecordBatch, SagaRef

from orderhub_chassis.errors import Failure, Kind

FORMAT_VERSION: Final = 1
BATCH_BYTES: Final = 256 * 1024
COMPRESSED_OVER: Final = 4 * 1024
"""Bytes of a batch above which its row is a Zstandard frame; PostgreSQL cuts rows over 8 kB into pieces of 2 kB."""


class MessageTooLarge(Failure):
    """Raised at the producer, inside the transaction, so that nothing half-sent remains."""

    kind = Kind.INVALID
    code = "message_too_large"


class Undecodable(Exception):
    """The bytes are no message of the type that the record names."""


class Outgoing(msgspec.Struct, frozen=True):
    """A message that a decision wants sent; the transaction stamps id, time and trace.

    `key` is the aggregate's id. `saga` is set on saga traffic. `topic` is only given where the type does not
    say it (dead letters).
    """

    payload: Message
    key: str
    saga: SagaRef | None = None
    actor: str = ""
    vendor_id: str = ""
    traceparent: str = ""
    topic: topics.Topic | None = None


class Envelope(msgspec.Struct, frozen=True):
    """A received message: the decoded payload and the record that carried it."""

    topic: str
    partition: int
    batch_id: UUID
    record: Record
    payload: Any

    @property
    def key(self) -> str:
        return self.record.key

    @property
    def saga(self) -> SagaRef | None:
        return self.record.saga if self.record.HasField("saga") else None

    @property
    def sent_at(self) -> datetime:
        return datetime.fromtimestamp(self.record.time_us / 1e6, UTC)


class Delivery(msgspec.Struct, frozen=True):
    """Consecutive records of one outbox batch and one partition, as the bus hands them over.

    `position` is the bus's own number of the last of them: what a commit confirms.
    """

    topic: str
    partition: int
    position: int
    batch_id: UUID
    records: Sequence[Record]


class OutboxBatch(msgspec.Struct, frozen=True):
    """One outbox row on its way to the bus: the bytes that were written, and how many messages of which partitions."""

    batch_id: UUID
    topic: topics.Topic
    data: bytes
    counts: Sequence[tuple[int, int]]

    @classmethod
    def of_row(cls, batch_id: UUID, topic: topics.Topic, data: bytes) -> OutboxBatch:
        """Raises Undecodable."""
        return cls(batch_id, topic, data, [(part.partition, part.count) for part in unpack(data).parts])

    @property
    def count(self) -> int:
        return sum(count for _, count in self.counts)


Unplaced = tuple[str, bytes]
"""A record's key, and its bytes without what its place in a batch gives it: id, time, index."""


def unplaced(message: Outgoing, payload: bytes, source: str, traceparent: str) -> Unplaced:
    """The bytes that protobuf would make of a Record with these fields, at a third of the cost.

    Written field by field (Protocol Buffers encoding: tag, length, bytes), as every message of the product passes here.
    """
    key, trace = message.key.encode(), traceparent.encode()
    type_and_source = _type_and_source(message.payload.DESCRIPTOR.full_name, source)
    length = _LENGTHS
    fields = [
        _KEY, length[len(key)], key, type_and_source,
        _PAYLOAD, length[len(payload)], payload, _TRACEPARENT, length[len(trace)], trace,
    ]  # fmt: skip
    if message.saga is not None:
        saga = message.saga.SerializeToString()
        fields += (_SAGA, length[len(saga)], saga)
    if message.vendor_id or message.actor:
        fields.append(Record(vendor_id=message.vendor_id, actor=message.actor).SerializeToString())
    return message.key, b"".join(fields)


def pack(
    batch_id: UUID, topic: topics.Topic, records: Iterable[Unplaced], time_us: int = 0
) -> PartitionedBatch:
    """Number the records of a batch, give them their ids and (unless 0) their time, and cut them by partition.

    The id of a record is its batch's and its place in it: unique, and no randomness per message.
    """
    id, time, length = f"{batch_id}.", Record(time_us=time_us).SerializeToString(), _LENGTHS
    parts: dict[int, list[bytes]] = {}
    for index, (key, record) in enumerate(records):
        name = f"{id}{index}".encode()
        place = b"".join((_ID, length[len(name)], name, _INDEX, length[index], time))
        parts.setdefault(partition_of(key, topic.partitions), []).extend(
            (_RECORD, length[len(record) + len(place)], record, place)
        )
    return PartitionedBatch(
        format_version=FORMAT_VERSION,
        parts=[
            records_pb2.PartitionRecords(
                partition=partition, count=len(items) // 4, batch=b"".join((_HEADER, *items))
            )
            for partition, items in sorted(parts.items())
        ],
    )


def _tag(message: type[Message], field: str) -> bytes:
    """Number and wire type of a field below number 16: 2 where a length follows, 0 for a varint."""
    found = message.DESCRIPTOR.fields_by_name[field]
    delimited = found.type in (found.TYPE_STRING, found.TYPE_BYTES, found.TYPE_MESSAGE)
    return bytes([found.number << 3 | (2 if delimited else 0)])


def _varint(value: int) -> bytes:
    """Base 128, least significant group first (Protocol Buffers encoding)."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


class _Lengths(dict[int, bytes]):
    """The varint of each length up to a few kilobytes, which nearly all are; of a longer one as it comes."""

    def __missing__(self, value: int) -> bytes:
        return _varint(value)


_LENGTHS: Final = _Lengths((value, _varint(value)) for value in range(4096))


@cache
def _type_and_source(type_name: str, source: str) -> bytes:
    return Record(type=type_name, source=source).SerializeToString()


_HEADER: Final = RecordBatch(format_version=FORMAT_VERSION).SerializeToString()
_RECORD: Final = _tag(RecordBatch, "records")
_ID, _KEY, _PAYLOAD = (_tag(Record, name) for name in ("id", "key", "payload"))
_TRACEPARENT, _SAGA, _INDEX = (_tag(Record, name) for name in ("traceparent", "saga", "index"))


class _Zstandard(threading.local):
    """A compressor may work for one thread at a time and lets others run meanwhile: the event loop and the bus's producers
    would break each other's frames."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=1).compress
        self.decompress = zstandard.ZstdDecompressor().decompress


_ZSTANDARD: Final = _Zstandard()
_FRAME: Final = zstandard.FRAME_HEADER
_MOST_UNPACKED: Final = 4 * topics.MAX_MESSAGE_BYTES
"""Far above what a batch can have; a frame that announces more is broken, and no memory is taken for it."""


def row_of(packed: PartitionedBatch) -> bytes:
    """The bytes of an outbox row: protobuf, in a Zstandard frame (RFC 8878) where they are many.

    A frame begins with its magic number, which is no tag of the message.
    """
    data = packed.SerializeToString()
    return _ZSTANDARD.compress(data) if len(data) > COMPRESSED_OVER else data


def unpack(data: bytes) -> PartitionedBatch:
    """What `pack` made, as an outbox row or the embedded bus keeps it. Raises Undecodable."""
    try:
        batch = PartitionedBatch.FromString(_plain(data) if data.startswith(_FRAME) else data)
    except (DecodeError, zstandard.ZstdError) as error:
        raise Undecodable(f"partitioned batch: {error}") from error
    if batch.format_version != FORMAT_VERSION:
        raise Undecodable(f"partitioned batch of format version {batch.format_version}")
    return batch


def _plain(frame: bytes) -> bytes:
    size = zstandard.get_frame_parameters(frame).content_size
    if size > _MOST_UNPACKED:
        raise Undecodable(f"partitioned batch: a frame of {size} bytes")
    return _ZSTANDARD.decompress(frame, allow_extra_data=False)


def decode(record: Record) -> Message:
    """The payload. Raises Undecodable for an unknown type or broken bytes."""
    message = topics.MESSAGE_OF.get(record.type)
    if message is None:
        raise Undecodable(f"unknown message type {record.type!r}")
    try:
        return message.FromString(record.payload)
    except DecodeError as error:
        raise Undecodable(f"{record.type}: {error}") from error


def batch_from_bytes(data: bytes) -> RecordBatch:
    """Raises Undecodable when the bytes are no batch of a format version that this code reads."""
    try:
        batch = records_pb2.RecordBatch.FromString(data)
    except DecodeError as error:
        raise Undecodable(f"record batch: {error}") from error
    if batch.format_version != FORMAT_VERSION:
        raise Undecodable(f"record batch of format version {batch.format_version}")
    return batch


_WORD: Final = struct.Struct("<I")


@lru_cache(maxsize=65_536)
def partition_of(key: str, partitions: int) -> int:
    """Kafka's default: murmur2 of the key's UTF-8 bytes, made positive, modulo the number of partitions."""
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """MurmurHash2, 32 bit, seed 0x9747b28c, as Kafka's Java client computes it."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = (0x9747B28C ^ len(data)) & mask
    whole = len(data) & ~3
    for (word,) in _WORD.iter_unpack(data[:whole]):
        k = (word * m) & mask
        h = ((h * m) & mask) ^ ((k ^ (k >> 24)) * m & mask)
    if tail := data[whole:]:
        h = ((h ^ int.from_bytes(tail, "little")) * m) & mask
    h = ((h ^ (h >> 13)) * m) & mask
    return h ^ (h >> 15)
