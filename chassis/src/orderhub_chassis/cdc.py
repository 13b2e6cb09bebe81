"""The other relay: change data capture reads the outbox from the write-ahead log and publishes a record per row.

A transaction writes its messages as rows of `outbox_events`; Debezium's connector with its outbox event router makes
records of them, the same as the relay would. Here is what the service does for it: write that form, sweep what the
replication slot has confirmed, and say how far the slot is behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from orderhub_contracts import topics

from orderhub_chassis import metrics
from orderhub_chassis.bus.kafka import attributes
from orderhub_chassis.db import Database
from orderhub_chassis.errors import Unavailable
from orderhub_chassis.ids import NewId
from orderhub_chassis.messages import Unplaced, batch_from_bytes, pack
from orderhub_chassis.outbox import Collector, Writer, cuts

COLUMNS: Final = attributes.NAMES
INSERT: Final = f"""
insert into outbox_events (topic, partition, key, payload, created_at, {", ".join(COLUMNS)})
select t, n, k, p, $1, {", ".join(f"h{i}" for i in range(len(COLUMNS)))}
from unnest($2::text[], $3::int[], $4::text[], $5::bytea[], {", ".join(f"${i + 6}::text[]" for i in range(len(COLUMNS)))})
    as u (t, n, k, p, {", ".join(f"h{i}" for i in range(len(COLUMNS)))})
"""
SLOT: Final = """
select active, wal_status, confirmed_flush_lsn, pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::bigint as behind
from pg_replication_slots where slot_name = $1
"""
WAITING: Final = """
select count(*) as n, min(created_at) as oldest from outbox_events where $1::pg_lsn is null or lsn >= $1
"""
SWEPT_AT_ONCE: Final = 10_000
LONGEST_TRANSACTION: Final = timedelta(seconds=20)
"""A row has the log's position of its insert, and the slot may have confirmed what was committed between that and the row's
own commit. One that is older than any transaction can be was committed before."""
SWEEP: Final = """
with gone as (
    delete from outbox_events where position = any(array(
        select position from outbox_events where lsn < $1 and created_at < $2 order by position limit $3
    )) returning topic
)
insert into outbox_totals (topic, messages) select topic, count(*) from gone group by topic
on conflict (topic) do update set messages = outbox_totals.messages + excluded.messages
"""


def slot_of(service: str) -> str:
    """The name of a service's replication slot; a server has one name space for all of its databases."""
    return f"orderhub_{service}"


def write(tx: Writer, collector: Collector, new_id: NewId) -> None:
    """The rows of all messages join what the transaction writes last; the commit follows at once."""
    now = collector.clock.now()
    rows = [row for topic, records in collector.records.items() for row in _rows(topic, records, now, new_id)]
    tx.write(INSERT, now, *map(list, zip(*rows, strict=True)))


def _rows(
    topic: topics.Topic, records: list[Unplaced], now: datetime, new_id: NewId
) -> Iterator[tuple[Any, ...]]:
    """In the order of sending: ids and partitions are those that the relay's form would have."""
    time_us = int(now.timestamp() * 1e6)
    for cut in cuts(records):
        placed = [
            (part.partition, record)
            for part in pack(new_id(), topic, cut, time_us).parts
            for record in batch_from_bytes(part.batch).records
        ]
        for partition, record in sorted(placed, key=lambda one: one[1].index):
            given = {name: value.decode() for name, value in attributes.headers_of(record)}
            yield (topic.name, partition, record.key, record.payload, *(given.get(name) for name in COLUMNS))


async def waiting(db: Database) -> Any:
    """How many messages the slot has not confirmed yet, and when the oldest of them was written."""
    slot = await db.fetchrow(SLOT, slot_of(db.service))
    return await db.fetchrow(WAITING, slot["confirmed_flush_lsn"] if slot else None)


class Sweeper:
    """Deletes what the slot has confirmed and counts it as sent, as the relay does with what it has published.

    A slot that is new has confirmed, by its birth alone, all that was written before; nobody has published that before
    the connector's snapshot is through, after which the slot moves on. So only one that was seen to move is believed.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._slot = slot_of(db.service)
        self._first_seen: object = None

    async def sweep(self) -> bool:
        """Whether there may be more to sweep at once. Raises Unavailable where nothing reads the log."""
        slot = await self._read_slot()
        if self._first_seen is None:
            self._first_seen = slot["confirmed_flush_lsn"]
        if slot["confirmed_flush_lsn"] == self._first_seen:
            return False
        settled = self._db.clock.now() - LONGEST_TRANSACTION
        swept = await self._db.execute(SWEEP, slot["confirmed_flush_lsn"], settled, SWEPT_AT_ONCE)
        return swept != "INSERT 0 0"

    async def _read_slot(self) -> Any:
        """One that is read. Whatever comes after another one begins anew."""
        slot = await self._db.fetchrow(SLOT, self._slot)
        if slot is None or not slot["active"]:
            self._first_seen = None
        if slot is None:
            raise Unavailable(
                f"{self._db.service}: there is no replication slot {self._slot}: register its connector"
            )
        metrics.CDC_LAG.labels(self._db.service).set(slot["behind"] or 0)
        if slot["wal_status"] == "lost":
            raise Unavailable(
                f"{self._db.service}: the replication slot {self._slot} is lost: what it had still to read is gone from the"
                " log (max_slot_wal_keep_size); see docs/operations.md"
            )
        if not slot["active"]:
            raise Unavailable(
                f"{self._db.service}: nobody reads the replication slot {self._slot}: look at its connector"
            )
        return slot
