"""SQL of the write path: load and lock in key order, save set-wise. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

import asyncpg
from orderhub_chassis.db import Transaction

from orderhub_simulator.commands import Answer, Authorize, Book, Lookup, Operation, Record
from orderhub_simulator.model import Authorization

LOAD_RECORDS: Final = """
SELECT key, op, fingerprint, attempts, http_status, body
  FROM operations WHERE key = ANY($1::text[]) ORDER BY key FOR UPDATE
"""
LOAD_AUTHORIZATIONS: Final = """
SELECT id, token, reference, amount_minor, currency, status, decline_code, captured_minor, refunded_minor,
       created_at, updated_at
  FROM authorizations WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE
"""
INSERT_RECORDS: Final = """
INSERT INTO operations (key, op, fingerprint, attempts, http_status, body, created_at)
SELECT *, $7::timestamptz FROM unnest($1::text[], $2::text[], $3::bytea[], $4::int[], $5::smallint[], $6::text[])
ON CONFLICT (key) DO NOTHING
"""
UPDATE_RECORDS: Final = """
UPDATE operations AS kept SET attempts = new.attempts, http_status = new.http_status, body = new.body
  FROM unnest($1::text[], $2::int[], $3::smallint[], $4::text[]) AS new (key, attempts, http_status, body)
 WHERE kept.key = new.key
"""
INSERT_AUTHORIZATIONS: Final = """
INSERT INTO authorizations (id, token, reference, amount_minor, currency, status, decline_code, captured_minor,
                            refunded_minor, created_at, updated_at)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[],
                     $8::bigint[], $9::bigint[], $10::timestamptz[], $11::timestamptz[])
"""
UPDATE_AUTHORIZATIONS: Final = """
UPDATE authorizations AS kept
   SET status = new.status, captured_minor = new.captured_minor, refunded_minor = new.refunded_minor,
       updated_at = new.updated_at
  FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::timestamptz[])
       AS new (id, status, captured_minor, refunded_minor, updated_at)
 WHERE kept.id = new.id
"""
INSERT_REFUNDS: Final = """
INSERT INTO refunds (id, authorization_id, amount_minor, reference, created_at)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::timestamptz[])
"""

ALL_OF_AUTHORIZATION: Final = attrgetter(*Authorization.__struct_fields__)
CHANGED_OF_AUTHORIZATION: Final = attrgetter("id", "status", "captured_minor", "refunded_minor", "updated_at")
ALL_OF_REFUND: Final = attrgetter("id", "authorization_id", "amount_minor", "reference", "created_at")


class Raced(asyncpg.SerializationError):  # type: ignore[misc]
    """Another process has written one of these keys since they were loaded; load and decide again."""


async def load(tx: Transaction, operations: Sequence[Operation]) -> Book:
    keys = sorted({operation.key for operation in operations})
    records = [_record(row) for row in await tx.fetch(LOAD_RECORDS, keys)]
    named = {
        operation.authorization_id
        for operation in operations
        if not isinstance(operation, Authorize | Lookup)
    }
    rows = await tx.fetch(LOAD_AUTHORIZATIONS, sorted(named)) if named else []
    return Book(records, [Authorization(*row) for row in rows])


async def save(tx: Transaction, book: Book, *, now: datetime) -> None:
    """Everything the book changed, one statement per table and kind of change."""
    await _save_records(tx, book, now)
    if new := book.new_authorizations:
        await tx.execute(INSERT_AUTHORIZATIONS, *_columns(map(ALL_OF_AUTHORIZATION, new)))
    if changed := book.changed_authorizations:
        await tx.execute(UPDATE_AUTHORIZATIONS, *_columns(map(CHANGED_OF_AUTHORIZATION, changed)))
    if book.new_refunds:
        await tx.execute(INSERT_REFUNDS, *_columns(map(ALL_OF_REFUND, book.new_refunds)))


async def _save_records(tx: Transaction, book: Book, now: datetime) -> None:
    if new := book.new_records:
        rows = ((r.key, r.op, r.fingerprint, r.attempts, *_answer_columns(r)) for r in new)
        done = await tx.execute(INSERT_RECORDS, *_columns(rows), now)
        if done != f"INSERT 0 {len(new)}":
            raise Raced
    if changed := book.changed_records:
        answered = ((r.key, r.attempts, *_answer_columns(r)) for r in changed)
        await tx.execute(UPDATE_RECORDS, *_columns(answered))


def _columns(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True))


def _answer_columns(record: Record) -> tuple[int | None, str | None]:
    answer = record.answer
    return (answer.http_status, answer.body.decode()) if answer else (None, None)


def _record(row: asyncpg.Record) -> Record:
    key, op, fingerprint, attempts, http_status, body = row
    answer = None if body is None else Answer(http_status, body.encode())
    return Record(key, op, fingerprint, attempts, answer)
