"""Reads: one user, and the list for operators."""

from __future__ import annotations

from uuid import UUID

from orderhub_chassis.db import Database

from orderhub_auth.model import User
from orderhub_auth.store import user_from

LIST = """
select * from users where ($1 = '' or $1 = any (roles)) and ($2::uuid is null or id < $2)
order by id desc limit $3
"""


async def user_by_email(db: Database, email: str) -> User | None:
    row = await db.fetchrow("select * from users where email = $1", email)
    return user_from(row) if row else None


async def user_by_id(db: Database, id: UUID) -> User | None:
    row = await db.fetchrow("select * from users where id = $1", id)
    return user_from(row) if row else None


async def list_users(db: Database, *, role: str, before: UUID | None, limit: int) -> list[User]:
    return [user_from(row) for row in await db.fetch(LIST, role, before, limit)]
