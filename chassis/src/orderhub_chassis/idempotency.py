"""Idempotency keys, kept in the effect's own transaction (draft-ietf-httpapi-idempotency-key-header).

A key is scoped by principal and route. The same key with the same fingerprint gets the first answer again; with
another one it is refused (422); while the first is still under way, it is a conflict (409).

A key's row is written once, with its answer. Until then an advisory lock stands for it, taken before anything else:
whoever comes second waits before it meets a row or a version that the first has changed. The guarantee is the
primary key: of two that did not see each other's lock, the later one fails by it, runs again and finds the answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import asyncpg
import msgspec
from google.protobuf.message import Message

from orderhub_chassis.calls import Call
from orderhub_chassis.db import Database, Transaction
from orderhub_chassis.errors import Conflict, Unprocessable

M = TypeVar("M", bound=Message)
KEPT = timedelta(hours=24)
LOCK_WAIT = "2s"
# Not one statement with LOOK: what a lock had to wait for is only seen by the snapshot of the next statement.
TAKE = """
with patience as materialized (select set_config('lock_timeout', $2, true))
select count(pg_advisory_xact_lock(k)) from patience, unnest($1::bigint[]) k
"""
NAMED = "(principal, route, key) in (select * from unnest($1::text[], $2::text[], $3::text[]))"
LOOK = f"select principal, route, key, fingerprint, response, created_at from idempotency_keys where {NAMED}"
DROP = f"delete from idempotency_keys where {NAMED}"
KEEP = """
insert into idempotency_keys (principal, route, key, fingerprint, response, created_at)
select *, $6 from unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::bytea[])
"""


class KeyReused(Unprocessable):
    code = "idempotency.key_reused"


class KeyInFlight(Conflict):
    code = "idempotency.in_flight"


class Key(msgspec.Struct, frozen=True):
    principal: str
    route: str
    key: str


class Stored(msgspec.Struct, frozen=True):
    fingerprint: bytes
    response: bytes


async def lock(tx: Transaction, keys: Sequence[Key], *, now: datetime) -> dict[Key, Stored]:
    """Take the keys, in one order for all, for this transaction; returns those that have an answer already.

    A key taken by a transaction that is still open makes this one wait for LOCK_WAIT, then KeyInFlight. Nothing is
    written: a key that gets no answer from `store` is free again.
    """
    try:
        await tx.execute(TAKE, sorted({_number(key) for key in keys}), LOCK_WAIT)
    except asyncpg.LockNotAvailableError as error:
        raise KeyInFlight("a request with this Idempotency-Key is still under way", retry_after=1) from error
    found: dict[Key, Stored] = {}
    outlived: list[Key] = []
    for row in await tx.fetch(LOOK, *_columns(set(keys))):
        key = Key(row["principal"], row["route"], row["key"])
        if row["created_at"] < now - KEPT:
            outlived.append(key)
        else:
            found[key] = Stored(row["fingerprint"], row["response"])
    if outlived:
        await tx.execute(DROP, *_columns(outlived))
    return found


def _number(key: Key) -> int:
    """What stands for the key among the advisory locks; two keys with one number only wait for each other."""
    name = f"{key.principal}\0{key.route}\0{key.key}".encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), signed=True)


def _columns(keys: Iterable[Key]) -> tuple[list[str], list[str], list[str]]:
    keys = list(keys)
    return [k.principal for k in keys], [k.route for k in keys], [k.key for k in keys]


def store(tx: Transaction, answers: dict[Key, Stored], *, now: datetime) -> None:
    """Keep the answers beside the effects; the keys are locked."""
    tx.write(
        KEEP, *_columns(answers), [known_fingerprint(a.fingerprint) for a in answers.values()],
        [a.response for a in answers.values()], now,
    )  # fmt: skip


def known_fingerprint(fingerprint: bytes) -> bytes:
    """What is kept of a request: never nothing, so that a row without its answer shows."""
    return fingerprint or b"-"


def check_fingerprint(stored: Stored, fingerprint: bytes) -> None:
    if stored.fingerprint != known_fingerprint(fingerprint):
        raise KeyReused("this Idempotency-Key was used with another request")


async def once(
    db: Database, call: Call, route: str, answer: type[M], work: Callable[[Transaction], Awaitable[M]]
) -> tuple[M, bool]:
    """Run `work` in a transaction, once per key; returns (answer, replayed). Without a key it just runs."""

    async def keyed(tx: Transaction) -> tuple[M, bool]:
        if not call.idempotency_key:
            return await work(tx), False
        key = Key(call.caller.principal, route, call.idempotency_key)
        now = db.clock.now()
        known = await lock(tx, [key], now=now)
        if key in known:
            check_fingerprint(known[key], call.fingerprint)
            return answer.FromString(known[key].response), True
        result = await work(tx)
        store(tx, {key: Stored(call.fingerprint, result.SerializeToString())}, now=now)
        return result, False

    return await db.run(keyed)


async def prune(db: Database, *, limit: int = 5000) -> None:
    await db.execute(
        "delete from idempotency_keys where ctid in"
        " (select ctid from idempotency_keys where created_at < $1 limit $2)",
        db.clock.now() - KEPT, limit,
    )  # fmt: skip
