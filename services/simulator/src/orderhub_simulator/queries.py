"""Reads beside the write path: plain SQL to frozen rows, each query on an index."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from orderhub_chassis.db import Database

from orderhub_simulator import model
from orderhub_simulator.commands import RefundView

SHOWN: Final = """
id, status, decline_code, amount_minor, currency, captured_minor, refunded_minor, reference, created_at, updated_at
"""
ONE: Final = f"SELECT {SHOWN} FROM authorizations WHERE id = $1"
BY_REFERENCE: Final = f"""
SELECT {SHOWN} FROM authorizations
 WHERE reference = $4 AND (updated_at, id) > ($1, $2) ORDER BY updated_at, id LIMIT $3
"""
BY_UPDATE: Final = f"""
SELECT {SHOWN} FROM authorizations WHERE (updated_at, id) > ($1, $2) ORDER BY updated_at, id LIMIT $3
"""
REFUNDS: Final = """
SELECT id, amount_minor, reference, created_at FROM refunds WHERE authorization_id = $1 ORDER BY id
"""


class AuthorizationRow(msgspec.Struct, frozen=True):
    id: UUID
    status: model.Status
    decline_code: str | None
    amount_minor: int
    currency: str
    captured_minor: int
    refunded_minor: int
    reference: str
    created_at: datetime
    updated_at: datetime


class RefundRow(RefundView, frozen=True):
    created_at: datetime


class Position(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ended, in order of (updated_at, id)."""

    updated_at: datetime
    id: UUID


async def authorization(database: Database, authorization_id: UUID) -> AuthorizationRow | None:
    row = await database.fetchrow(ONE, authorization_id)
    return AuthorizationRow(*row) if row else None


async def authorizations(
    database: Database, *, after: Position, limit: int, reference: str | None
) -> list[AuthorizationRow]:
    """Oldest change first, so that a reader who comes back with the last cursor misses nothing."""
    if reference is None:
        rows = await database.fetch(BY_UPDATE, after.updated_at, after.id, limit)
    else:
        rows = await database.fetch(BY_REFERENCE, after.updated_at, after.id, limit, reference)
    return [AuthorizationRow(*row) for row in rows]


async def refunds(database: Database, authorization_id: UUID) -> list[RefundRow]:
    return [RefundRow(*row) for row in await database.fetch(REFUNDS, authorization_id)]
