"""The outbox: all messages that a transaction sends to one topic are one row, written before its commit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

from orderhub_contracts import topics

from orderhub_chassis.clock import Clock
from orderhub_chassis.ids import NewId
from orderhub_chassis.messages import BATCH_BYTES, MessageTooLarge, Outgoing, Unplaced, pack, row_of, unplaced
from orderhub_chassis.telemetry import current_traceparent

PLACE_BYTES: Final = 64
"""About what a record gets with its place in a batch: id, time, index."""
INSERT = """
insert into outbox (batch_id, topic, count, records, created_at)
select b, t, c, r, $5 from unnest($1::uuid[], $2::text[], $3::int[], $4::bytea[]) as u (b, t, c, r)
"""


class Writer(Protocol):
    """What the outbox needs of a transaction."""

    def write(self, statement: str, *arguments: Any) -> None: ...


class Reader(Protocol):
    """What it takes to look into it."""

    async def fetchrow(self, query: str, *arguments: Any) -> Any: ...


class Collector:
    """What one transaction wants to send, in order, per topic."""

    def __init__(self, source: str, clock: Clock) -> None:
        self._source = source
        self.clock = clock
        self.records: dict[topics.Topic, list[Unplaced]] = {}
        self.messages: list[Outgoing] = []

    def __bool__(self) -> bool:
        return bool(self.records)

    def add(self, message: Outgoing) -> None:
        topic = message.topic or topics.TOPIC_OF[type(message.payload)]
        payload = message.payload.SerializeToString()
        if len(payload) > topics.MAX_MESSAGE_BYTES:
            name = message.payload.DESCRIPTOR.full_name
            raise MessageTooLarge(
                f"{name} of {len(payload)} bytes is over the limit of {topics.MAX_MESSAGE_BYTES}"
            )
        record = unplaced(message, payload, self._source, message.traceparent or current_traceparent.get())
        self.records.setdefault(topic, []).append(record)
        self.messages.append(message)


def write(tx: Writer, collector: Collector, new_id: NewId) -> None:
    """The rows of all topics join what the transaction writes last; the commit follows at once."""
    now = collector.clock.now()
    rows = [row for topic, records in collector.records.items() for row in _rows(topic, records, now, new_id)]
    tx.write(INSERT, *map(list, zip(*rows, strict=True)), now)


async def waiting(db: Reader) -> Any:
    """How many record batches wait for the relay, and when the oldest of them was written."""
    return await db.fetchrow("select count(*) as n, min(created_at) as oldest from outbox")


def _rows(
    topic: topics.Topic, records: list[Unplaced], now: datetime, new_id: NewId
) -> list[tuple[UUID, str, int, bytes]]:
    time_us = int(now.timestamp() * 1e6)
    rows = []
    for cut in cuts(records):
        batch_id = new_id()
        packed = pack(batch_id, topic, cut, time_us)
        rows.append((batch_id, topic.name, len(cut), row_of(packed)))
    return rows


def cuts(records: list[Unplaced]) -> Iterator[list[Unplaced]]:
    """Batches of at most BATCH_BYTES, or of one larger record."""
    cut: list[Unplaced] = []
    size = 0
    for record in records:
        bytes_of_record = len(record[1]) + PLACE_BYTES
        if cut and size + bytes_of_record > BATCH_BYTES:
            yield cut
            cut, size = [], 0
        cut.append(record)
        size += bytes_of_record
    yield cut
