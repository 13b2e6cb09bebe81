"""Codes that were mailed."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from orderhub_chassis.db import Transaction

from orderhub_auth.model import Code, Purpose

INSERT_CODE = """
insert into codes (code_hash, user_id, purpose, created_at, expires_at) values ($1, $2, $3, $4, $5)
"""
CODE_SINCE = "select exists (select from codes where user_id = $1 and purpose = $2 and created_at > $3)"
SPEND_CODES = "update codes set spent_at = $3 where user_id = $1 and purpose = $2 and spent_at is null"
PRUNE_SPENT = """
delete from codes where code_hash in (select code_hash from codes where spent_at < $1 limit $2)
"""
PRUNE_CODES = """
delete from codes where code_hash in (select code_hash from codes where expires_at < $1 limit $2)
"""


def code_from(row: Any) -> Code:
    return Code(row["user_id"], Purpose(row["purpose"]), row["expires_at"], row["spent_at"])


async def load_code(tx: Transaction, hash: bytes) -> Code | None:
    row = await tx.fetchrow("select * from codes where code_hash = $1 for update", hash)
    return code_from(row) if row else None


async def insert_code(tx: Transaction, hash: bytes, code: Code, *, now: datetime) -> None:
    await tx.execute(INSERT_CODE, hash, code.user_id, code.purpose, now, code.expires_at)


async def has_code_since(tx: Transaction, user_id: UUID, purpose: Purpose, since: datetime) -> bool:
    return bool(await tx.fetchval(CODE_SINCE, user_id, purpose, since))


async def spend_codes(tx: Transaction, user_id: UUID, purpose: Purpose, *, now: datetime) -> None:
    """The one that was used, and whatever else of its kind is on its way."""
    await tx.execute(SPEND_CODES, user_id, purpose, now)


async def prune_codes(tx: Transaction, *, before: datetime, limit: int = 1000) -> int:
    """Delete codes that are over; returns how many."""
    done = await tx.execute(PRUNE_CODES, before, limit)
    return int(done.split()[-1])


async def prune_spent(tx: Transaction, *, before: datetime, limit: int = 1000) -> int:
    """Delete codes that were used before then; returns how many."""
    return int((await tx.execute(PRUNE_SPENT, before, limit)).split()[-1])
