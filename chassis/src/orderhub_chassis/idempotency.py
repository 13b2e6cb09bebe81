"""Idempotency keys, kept in the effect's own transaction (draft-ietf-httpapi-idempotency-key-header).

A key is scoped by principal and route. The same key with the same fingerprint gets the first answer again; with
another one it is refused (422); while the first is still under way, it is a conflict (409).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import asyncpg
from google.protobuf.message import Message

from orderhub_chassis.calls import Call
from orderhub_chassis.db import Database, Transaction
from orderhub_chassis.errors import Conflict, Unprocessable

M = TypeVar("M", bound=Message)
KEPT = timedelta(hours=24)
LOCK_WAIT = "2s"


class KeyReused(Unprocessable):
    code = "idempotency.key_reused"


class KeyInFlight(Conflict):
    code = "idempotency.in_flight"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    principal: str
    route: str
    key: str


@dataclass(frozen=True, slots=True)
class Stored:
    fingerprint: bytes
    response: bytes


async def lock(tx: Transaction, keys: Sequence[Key], *, now: datetime) -> dict[Key, Stored]:
    """Take the keys, in order, for this transaction; returns those that have an answer already.

    A key taken by a transaction that is still open makes this one wait for LOCK_WAIT, then KeyInFlight.
    """
    ordered = sorted(set(keys))
    columns = ([k.principal for k in ordered], [k.route for k in ordered], [k.key for k in ordered])
    try:
        await tx.execute(f"set local lock_timeout = '{LOCK_WAIT}'")
        taken = await tx.fetch(
            "insert into idempotency_keys select p, r, k, '', '', $4"
            " from unnest($1::text[], $2::text[], $3::text[]) u (p, r, k) order by p, r, k"
            " on conflict (principal, route, key) do update set fingerprint = '', response = '', created_at = $4"
            " where idempotency_keys.created_at < $5 returning key",
            *columns, now, now - KEPT,
        )  # fmt: skip
    except asyncpg.LockNotAvailableError as error:
        raise KeyInFlight("a request with this Idempotency-Key is still under way", retry_after=1) from error
    if len(taken) == len(ordered):
        return {}
    rows = await tx.fetch(
        "select principal, route, key, fingerprint, response from idempotency_keys"
        " where (principal, route, key) in (select * from unnest($1::text[], $2::text[], $3::text[]))"
        " and length(fingerprint) > 0",
        *columns,
    )
    return {Key(r["principal"], r["route"], r["key"]): Stored(r["fingerprint"], r["response"]) for r in rows}


def store(tx: Transaction, answers: dict[Key, Stored]) -> None:
    """Keep the answers beside the effects."""
    tx.write(
        "update idempotency_keys i set fingerprint = f, response = b"
        " from unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::bytea[]) u (p, r, k, f, b)"
        " where i.principal = p and i.route = r and i.key = k",
        [k.principal for k in answers], [k.route for k in answers], [k.key for k in answers],
        [known_fingerprint(a.fingerprint) for a in answers.values()], [a.response for a in answers.values()],
    )  # fmt: skip


def known_fingerprint(fingerprint: bytes) -> bytes:
    """What is kept of a request: an empty column says that its answer is not there yet."""
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
        known = await lock(tx, [key], now=db.clock.now())
        if key in known:
            check_fingerprint(known[key], call.fingerprint)
            return answer.FromString(known[key].response), True
        result = await work(tx)
        store(tx, {key: Stored(call.fingerprint, result.SerializeToString())})
        return result, False

    return await db.run(keyed)


async def prune(db: Database, *, limit: int = 5000) -> None:
    await db.execute(
        "delete from idempotency_keys where ctid in"
        " (select ctid from idempotency_keys where created_at < $1 limit $2)",
        db.clock.now() - KEPT, limit,
    )  # fmt: skip


async def forget(tx: Transaction, keys: Iterable[Key]) -> None:
    """Give back keys whose request was refused without an effect: it may be mended and sent again."""
    ordered = sorted(keys)
    await tx.execute(
        "delete from idempotency_keys where (principal, route, key) in"
        " (select * from unnest($1::text[], $2::text[], $3::text[]))",
        [k.principal for k in ordered], [k.route for k in ordered], [k.key for k in ordered],
    )  # fmt: skip
