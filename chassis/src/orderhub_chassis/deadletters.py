"""What a consumer has given up, what is parked behind it, and how both run again.

A key with a dead letter is parked: later messages of the same (consumer, topic, key) wait behind it in order,
other keys go on. Replay does not use the bus; it holds the key's row while it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from orderhub_contracts.events.v1.records_pb2 import Record

from orderhub_chassis.db import Database, Transaction

INSERT = """
insert into dead_letters (id, consumer, topic, key, message_id, type, record, reason, stack, attempts, status, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
on conflict (consumer, message_id) do nothing
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of dead_letters with its message."""

    id: UUID
    consumer: str
    topic: str
    key: str
    record: Record
    status: str


def text(value: str) -> str:
    """What PostgreSQL and protobuf can keep of any string: no NUL, no lone surrogate."""
    return value.encode(errors="replace").decode().replace("\0", "\ufffd")


def key_of(record: Record) -> str:
    """The key as it stands in the tables."""
    return record.key.replace("\0", "\ufffd")


async def first_attempts(db: Database, consumer: str, ids: Sequence[str], *, now: datetime) -> set[str]:
    """Mark messages as begun, durably, before they run; returns those that nobody had marked before."""
    rows = await db.fetch(
        "insert into message_attempts select $1, m, 1, $3 from unnest($2::text[]) m"
        " on conflict do nothing returning message_id",
        consumer, ids, now,
    )  # fmt: skip
    return {row["message_id"] for row in rows}


async def next_attempt(db: Database, consumer: str, id: str, *, now: datetime) -> int:
    """Count one more attempt, durably, before it runs; returns its number."""
    return int(
        await db.fetchval(
            "insert into message_attempts values ($1, $2, 1, $3)"
            " on conflict (consumer, message_id) do update set attempts = message_attempts.attempts + 1, at = $3"
            " returning attempts",
            consumer, id, now,
        )
    )  # fmt: skip


async def forget_attempts(tx: Transaction, consumer: str, ids: Sequence[str]) -> None:
    await tx.execute(
        "delete from message_attempts where consumer = $1 and message_id = any($2)", consumer, ids
    )


async def prune_attempts(db: Database, *, before: datetime) -> None:
    """Rows of messages that were applied elsewhere and forgotten here."""
    await db.execute("delete from message_attempts where at < $1", before)


async def parked(tx: Transaction, consumer: str, keys: Sequence[str]) -> set[tuple[str, str]]:
    """The (topic, key) pairs that are parked. Waits for a replay that holds one of them, then looks again."""
    rows = await tx.fetch(
        "select topic, key from parked_keys where consumer = $1 and key = any($2) order by topic, key for share",
        consumer, list(keys),
    )  # fmt: skip
    return {(row["topic"], row["key"]) for row in rows}


async def park(
    tx: Transaction, consumer: str, topic: str, record: Record, *, id: UUID, now: datetime
) -> None:
    """Put a message behind the dead letter of its key."""
    await _insert(tx, consumer, topic, record, id, "parked behind an earlier message", "", 0, "parked", now)


async def bury(
    tx: Transaction, consumer: str, topic: str, record: Record,
    *, id: UUID, reason: str, stack: str, attempts: int, now: datetime,
) -> None:  # fmt: skip
    """Give a message up and park its key."""
    await _insert(tx, consumer, topic, record, id, reason, stack, attempts, "dead", now)
    await tx.execute(
        "insert into parked_keys values ($1, $2, $3, $4) on conflict do nothing",
        consumer, topic, key_of(record), now,
    )  # fmt: skip
    await forget_attempts(tx, consumer, [record.id])


async def _insert(
    tx: Transaction, consumer: str, topic: str, record: Record,
    id: UUID, reason: str, stack: str, attempts: int, status: str, now: datetime,
) -> None:  # fmt: skip
    await tx.execute(
        INSERT, id, consumer, topic, key_of(record), record.id, text(record.type), record.SerializeToString(),
        text(reason), text(stack), attempts, status, now,
    )  # fmt: skip


async def waiting(tx: Transaction, consumer: str, topic: str, key: str) -> list[Entry]:
    """Lock the key's row; then everything of that key that is not done, in order."""
    await tx.execute(
        "select 1 from parked_keys where consumer = $1 and topic = $2 and key = $3 for update",
        consumer,
        topic,
        key,
    )
    rows = await tx.fetch(
        "select * from dead_letters where consumer = $1 and topic = $2 and key = $3 and status <> 'done' order by seq",
        consumer, topic, key,
    )  # fmt: skip
    return [_entry(row) for row in rows]


async def done(tx: Transaction, id: UUID, *, now: datetime) -> None:
    await tx.execute("update dead_letters set status = 'done', done_at = $2 where id = $1", id, now)


async def free(tx: Transaction, consumer: str, topic: str, key: str) -> None:
    await tx.execute(
        "delete from parked_keys where consumer = $1 and topic = $2 and key = $3", consumer, topic, key
    )


def _entry(row: Any) -> Entry:
    return Entry(
        row["id"], row["consumer"], row["topic"], row["key"], Record.FromString(row["record"]), row["status"]
    )
