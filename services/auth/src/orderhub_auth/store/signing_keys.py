"""The signing keys."""

from __future__ import annotations

from datetime import datetime

from orderhub_chassis.db import Transaction

from orderhub_auth.keys import StoredKey

SIGNING_KEYS = "select kid, public_jwk, sealed from signing_keys order by created_at desc, kid"
KEY_CREATION_LOCK = 7_110_517


async def load_keys(tx: Transaction) -> list[StoredKey]:
    """Newest first, after waiting for whoever makes the first one just now."""
    await tx.execute("select pg_advisory_xact_lock($1)", KEY_CREATION_LOCK)
    return [StoredKey(*row) for row in await tx.fetch(SIGNING_KEYS)]


async def insert_key(tx: Transaction, key: StoredKey, *, now: datetime) -> None:
    await tx.execute(
        "insert into signing_keys (kid, public_jwk, sealed, created_at) values ($1, $2, $3, $4)",
        key.kid, key.public_jwk, key.sealed, now,
    )  # fmt: skip
