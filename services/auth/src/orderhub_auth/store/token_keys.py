"""The keys that sign tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from orderhub_chassis.db import Transaction

from orderhub_auth.keys import StoredKey

KEYS = "select kid, alg, public_jwk, sealed, created_at, signs_from, revoked_at from token_keys"
INSERT = """
insert into token_keys (kid, alg, public_jwk, sealed, created_at, signs_from) values ($1, $2, $3, $4, $5, $6)
"""
ROTATION_LOCK = 7_110_517


async def load_keys(tx: Transaction) -> list[StoredKey]:
    """After waiting for whoever changes them just now: what is decided on them is decided by one replica at a time."""
    await tx.execute("select pg_advisory_xact_lock($1)", ROTATION_LOCK)
    return [StoredKey(*row) for row in await tx.fetch(KEYS)]


async def insert_key(tx: Transaction, key: StoredKey) -> None:
    await tx.execute(INSERT, key.kid, key.alg, key.public_jwk, key.sealed, key.created_at, key.signs_from)


async def revoke_keys(tx: Transaction, kids: Sequence[str], *, now: datetime) -> None:
    """Nothing may be signed with them from now on, so their private part goes at once."""
    await tx.execute(
        "update token_keys set revoked_at = $2, sealed = '' where kid = any($1) and revoked_at is null",
        kids,
        now,
    )


async def reseal_key(tx: Transaction, kid: str, sealed: str) -> None:
    await tx.execute("update token_keys set sealed = $2 where kid = $1", kid, sealed)


async def erase_private(tx: Transaction, kids: Sequence[str]) -> None:
    await tx.execute("update token_keys set sealed = '' where kid = any($1)", kids)


async def delete_keys(tx: Transaction, kids: Sequence[str]) -> None:
    await tx.execute("delete from token_keys where kid = any($1)", kids)
