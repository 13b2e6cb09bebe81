"""Clients that have to hear that somebody logged out: written with the logout, gone when they have heard it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from orderhub_chassis.db import Database, Transaction

HINT: Final = "auth:logout-notices"
ADD: Final = """
insert into logout_notices (id, client_id, login_id, user_id, due_at, created_at)
select gen_random_uuid(), s.client_id, s.parent_id, s.user_id, $2, $2
from (select distinct client_id, parent_id, user_id from sessions where parent_id = any ($1)) s
join clients c on c.id = s.client_id where c.backchannel_logout_uri <> '' and not c.disabled
"""
LEASE: Final = """
update logout_notices n set leased_until = $2, attempts = attempts + 1 from clients c
where c.id = n.client_id and n.id in (
    select id from logout_notices where due_at <= $1 and (leased_until is null or leased_until <= $1)
    order by due_at limit $3 for update skip locked
)
returning n.id, n.client_id, n.login_id, n.user_id, n.attempts, c.backchannel_logout_uri as uri, c.id_token_alg as alg
"""


@dataclass(frozen=True, slots=True)
class Notice:
    """`attempts` counts the one that is under way."""

    id: UUID
    client_id: UUID
    login_id: UUID
    user_id: UUID
    attempts: int
    uri: str
    alg: str


async def add(tx: Transaction, ended: Collection[UUID], *, now: datetime) -> None:
    """For every client that was let in from one of these sessions, and wants to know."""
    if (await tx.execute(ADD, list(ended), now)).split()[-1] != "0":
        tx.hint(HINT)


async def lease(db: Database, *, now: datetime, until: datetime, limit: int) -> list[Notice]:
    """Due ones, which nobody else takes before `until`."""

    async def work(tx: Transaction) -> list[Notice]:
        return [Notice(**dict(row)) for row in await tx.fetch(LEASE, now, until, limit)]

    return await db.run(work)


async def done(db: Database, id: UUID) -> None:
    await db.execute("delete from logout_notices where id = $1", id)


async def put_off(db: Database, id: UUID, due_at: datetime) -> None:
    await db.execute("update logout_notices set due_at = $2, leased_until = null where id = $1", id, due_at)
