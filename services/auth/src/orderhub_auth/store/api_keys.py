"""API keys: loaded with locks, made, changed, and when they were used."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from orderhub_chassis.db import Transaction

from orderhub_auth.api_keys.model import ApiKey
from orderhub_auth.errors import ApiKeyNotFound

INSERT = """
insert into api_keys (id, vendor_id, public_id, key_hash, name, scopes, created_by, created_at, expires_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
SAVE = "update api_keys set name = $2, expires_at = $3, revoked_at = $4 where id = $1"
LIVE = "select count(*) from api_keys where vendor_id = $1 and revoked_at is null and expires_at > $2"
LOCK = "select pg_advisory_xact_lock(hashtextextended('api_keys:' || $1::text, 0))"
# Other replicas have written theirs meanwhile: a row changes once in the interval, whoever is first.
USED = """
update api_keys k set last_used_at = used.at from unnest($1::uuid[], $2::timestamptz[]) used (id, at)
where k.id = used.id and (k.last_used_at is null or k.last_used_at <= used.at - $3::interval)
"""
PRUNE = """
delete from api_keys where id in (
    select id from api_keys where expires_at < $1 or revoked_at < $1 limit $2
)
"""


def api_key_from(row: Any) -> ApiKey:
    return ApiKey(
        row["id"], row["vendor_id"], row["public_id"], row["key_hash"], row["name"], tuple(row["scopes"]),
        row["created_by"], row["created_at"], row["expires_at"], row["last_used_at"], row["revoked_at"],
    )  # fmt: skip


async def insert_api_key(tx: Transaction, key: ApiKey) -> None:
    await tx.execute(
        INSERT, key.id, key.vendor_id, key.public_id, key.key_hash, key.name, list(key.scopes),
        key.created_by, key.created_at, key.expires_at,
    )  # fmt: skip


async def save_api_key(tx: Transaction, key: ApiKey) -> None:
    await tx.execute(SAVE, key.id, key.name, key.expires_at, key.revoked_at)


async def load_api_key(tx: Transaction, id: UUID, vendor_id: UUID | None) -> ApiKey:
    """Of that vendor; of any where none is named. Raises ApiKeyNotFound."""
    row = await tx.fetchrow("select * from api_keys where id = $1 for no key update", id)
    if row is None or vendor_id not in (None, row["vendor_id"]):
        raise ApiKeyNotFound
    return api_key_from(row)


async def live_api_keys(tx: Transaction, vendor_id: UUID, *, now: datetime) -> int:
    """How many the vendor has. Two that are made at once are counted one after the other."""
    await tx.execute(LOCK, str(vendor_id))
    return int(await tx.fetchval(LIVE, vendor_id, now))


async def note_used(tx: Transaction, used: Mapping[UUID, datetime], *, every: timedelta) -> None:
    ids = sorted(used)
    await tx.execute(USED, ids, [used[id] for id in ids], every)


async def prune_api_keys(tx: Transaction, *, before: datetime, limit: int = 1000) -> int:
    """Delete keys that ended before then; returns how many."""
    return int((await tx.execute(PRUNE, before, limit)).split()[-1])
