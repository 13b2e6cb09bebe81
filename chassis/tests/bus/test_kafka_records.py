"""A message there and back as headers and value; and what other systems may send."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orderhub_chassis.bus.kafka import attributes, records
from orderhub_contracts.events.v1.records_pb2 import Record, SagaRef

BATCH = UUID("0190f3a2-0000-7000-8000-000000000001")


@dataclass
class Message:
    """What the client library hands over."""

    sent: list[tuple[str, bytes | None]] | None
    k: bytes | None = b"key"
    v: bytes | None = b"payload"
    place: tuple[str, int, int] = ("p.payments.commands.v1", 3, 7)
    at: tuple[int, int] = (1, 1_700_000_000_123)
    calls: list[str] = field(default_factory=list)

    def headers(self):
        return self.sent

    def key(self):
        return self.k

    def value(self):
        return self.v

    def topic(self):
        return self.place[0]

    def partition(self):
        return self.place[1]

    def offset(self):
        return self.place[2]

    def timestamp(self):
        return self.at


def there_and_back(record: Record) -> tuple[UUID, Record]:
    return records.record_of(Message(attributes.headers_of(record), record.key.encode(), record.payload))


texts = st.text(st.characters(codec="utf-8"), max_size=20)
sagas = st.builds(
    SagaRef, order_id=texts, run_id=texts, step=st.integers(0, 99), epoch=st.integers(0, 2**60), compensation=st.booleans()
)  # fmt: skip


@given(
    st.builds(
        Record, key=texts, type=texts, payload=st.binary(max_size=50), source=texts, subject=texts, traceparent=texts,
        actor=texts, vendor_id=texts, time_us=st.integers(1, 4_000_000_000_000_000), index=st.integers(0, 5000),
        saga=st.none() | sagas,
    )
)  # fmt: skip
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    record.id = f"{BATCH}.{record.index}"
    assert there_and_back(record) == (BATCH, record)


def test_the_attributes_are_those_of_cloudevents() -> None:
    record = Record(
        id=f"{BATCH}.2", key="k", type="orderhub.orders.v1.SagaReply", source="orders", subject="s",
        time_us=1_700_000_000_000_001, payload=b"x",
    )  # fmt: skip
    assert dict(attributes.headers_of(record)) == {
        "ce_specversion": b"1.0",
        "content-type": b"application/protobuf",
        "ce_id": f"{BATCH}.2".encode(),
        "ce_type": b"orderhub.orders.v1.SagaReply",
        "ce_source": b"orders",
        "ce_subject": b"s",
        "ce_time": b"2023-11-14T22:13:20.000001Z",
    }


def test_a_message_of_another_system_is_a_batch_of_its_own_by_its_id_and_source() -> None:
    one = records.record_of(Message([("ce_id", b"invoice-7"), ("ce_source", b"erp"), ("ce_type", b"x")]))
    again = records.record_of(Message([("ce_id", b"invoice-7"), ("ce_source", b"erp")], place=("t", 1, 99)))
    other = records.record_of(Message([("ce_id", b"invoice-7"), ("ce_source", b"crm")]))
    assert one[0] == again[0] != other[0]
    assert (one[1].id, one[1].index, one[1].type) == ("invoice-7", 0, "x")


@pytest.mark.parametrize("sent", [None, [], [("ce_id", None)], [("ce_id", b"")]])
def test_a_message_without_an_id_is_known_by_its_place(sent: list[tuple[str, bytes | None]] | None) -> None:
    first, second = (
        records.record_of(Message(sent, place=("p.payments.commands.v1", 3, offset))) for offset in (7, 8)
    )
    assert first[0] != second[0]
    assert first[1].id == "p.payments.commands.v1/3/7"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ce_time", b"yesterday"),
        ("ce_time", b"2023-11-14T22:13:20"),
        ("ce_time", b"\xff"),
        ("ce_id", b"\xff\xfe"),
        ("ce_id", f"{BATCH}.x".encode()),
        ("ce_id", f"{BATCH}.-1".encode()),
        ("ce_id", f"{BATCH}.99999999999".encode()),
        ("ce_id", f"{BATCH}.1_0".encode()),
        ("ce_sagastep", b"first"),
        ("ce_sagastep", b"9" * 5000),
        ("ce_type", b"\xc3"),
    ],
)
def test_an_attribute_that_cannot_be_read_counts_as_missing(name: str, value: bytes) -> None:
    sent: dict[str, bytes | None] = {
        "ce_id": f"{BATCH}.0".encode(), "ce_type": b"t", "ce_sagastep": b"1", "ce_sagaepoch": b"1", name: value,
    }  # fmt: skip
    _, record = records.record_of(Message(list(sent.items()), None, None))
    assert record.index == 0
    assert record.payload == b""
    assert record.time_us == 1_700_000_000_123_000
    assert record.HasField("saga") == (name != "ce_sagastep")


def test_deliveries_are_consecutive_records_of_one_batch_and_one_partition() -> None:
    other = UUID(int=BATCH.int + 1)

    def message(batch: UUID, index: int, partition: int, offset: int) -> Message:
        record = Record(id=f"{batch}.{index}", time_us=1)
        return Message(attributes.headers_of(record), place=("p.t", partition, offset))

    messages = [
        message(BATCH, 0, 0, 10), message(BATCH, 1, 1, 20), message(BATCH, 2, 0, 11), message(other, 0, 0, 12),
        message(BATCH, 3, 0, 13),
    ]  # fmt: skip
    got = [
        (d.topic, d.partition, d.position, d.batch_id, [r.index for r in d.records])
        for d in records.deliveries_of(messages, "p.")
    ]
    assert got == [
        ("t", 0, 11, BATCH, [0, 2]), ("t", 0, 12, other, [0]), ("t", 0, 13, BATCH, [3]), ("t", 1, 20, BATCH, [1]),
    ]  # fmt: skip
