"""Sessions and their refresh tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from orderhub_chassis.db import Transaction
from orderhub_contracts.revocations import Kind

from orderhub_auth.model import Authentication, Client, Presented, Use
from orderhub_auth.store import notices, revocations

LOAD_PRESENTED = """
select t.session_id, s.user_id, t.spent_at, t.uses, s.expires_at, s.revoked_at,
    s.amr, coalesce(s.authenticated_at, s.created_at) as authenticated_at,
    s.client_id, s.parent_id, s.scopes, s.claims
from refresh_tokens t join sessions s on s.id = t.session_id
where t.token_hash = $1 for update of s, t
"""
INSERT_SESSION = """
insert into sessions (
    id, user_id, address, user_agent, created_at, last_seen_at, expires_at, amr, authenticated_at,
    client_id, parent_id, scopes, claims, cookie_hash
) values ($1, $2, $3, $4, $5, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""
SEE_SESSION = """
update sessions set expires_at = $2, last_seen_at = $3, address = $4, user_agent = $5 where id = $1
"""
GOES_WITH_IT = "not 'offline_access' = any (scopes)"
"""A client's session ends with the browser's that it stems from, but for the access that a person gave it for when it is
not there (OpenID Connect Core 1.0, section 11)."""
PRUNE_SPENT = """
delete from refresh_tokens where token_hash in (select token_hash from refresh_tokens where spent_at < $1 limit $2)
"""
REVOKE_SESSIONS = f"""
update sessions set revoked_at = $2, revoked_reason = $3
where user_id = $1 and revoked_at is null and expires_at > $2
    and ($4::uuid is null or id = $4 or (parent_id = $4 and {GOES_WITH_IT}))
    and id is distinct from $5 and (parent_id is distinct from $5 or $5 is null)
returning id
"""
REVOKE_SESSION = f"""
update sessions set revoked_at = $2, revoked_reason = $3
where (id = $1 or (parent_id = $1 and {GOES_WITH_IT})) and revoked_at is null returning id
"""
REVOKE_OF_CLIENT = """
update sessions set revoked_at = $2, revoked_reason = $3 where client_id = $1 and revoked_at is null returning id
"""


async def insert_session(
    tx: Transaction,
    id: UUID,
    user_id: UUID,
    client: Client,
    how: Authentication,
    use: Use,
    *,
    now: datetime,
    until: datetime,
) -> None:
    await tx.execute(
        INSERT_SESSION, id, user_id, client.address, client.user_agent, now, until, list(how.amr), how.at,
        use.client_id, use.parent_id, list(use.scopes), list(use.claims), use.cookie_hash,
    )  # fmt: skip


async def insert_refresh_token(tx: Transaction, hash: bytes, session_id: UUID, *, now: datetime) -> None:
    await tx.execute(
        "insert into refresh_tokens (token_hash, session_id, issued_at) values ($1, $2, $3)",
        hash, session_id, now,
    )  # fmt: skip


async def load_presented(tx: Transaction, hash: bytes) -> Presented | None:
    row = await tx.fetchrow(LOAD_PRESENTED, hash)
    return _presented(dict(row)) if row else None


def _presented(row: dict[str, Any]) -> Presented:
    how = Authentication(tuple(row.pop("amr")), row.pop("authenticated_at"))
    use = Use(row.pop("client_id"), row.pop("parent_id"), tuple(row.pop("scopes")), tuple(row.pop("claims")))
    return Presented(**row, authentication=how, use=use)


async def spend(
    tx: Transaction, hash: bytes, session_id: UUID, client: Client, *, now: datetime, until: datetime
) -> None:
    """The grace time counts from the first use; the session lives on."""
    await tx.execute(
        "update refresh_tokens set spent_at = coalesce(spent_at, $2), uses = uses + 1 where token_hash = $1",
        hash, now,
    )  # fmt: skip
    await tx.execute(SEE_SESSION, session_id, until, now, client.address, client.user_agent)


async def revoke_session(tx: Transaction, id: UUID, reason: str, *, now: datetime) -> None:
    """With those of clients that stem from it, and all access tokens."""
    await _ended(tx, await tx.fetch(REVOKE_SESSION, id, now, reason), now)


async def revoke_sessions(
    tx: Transaction,
    user_id: UUID,
    reason: str,
    *,
    now: datetime,
    only: UUID | None = None,
    but: UUID | None = None,
) -> int:
    """End the live sessions of a user, one of them, or all but one, with their access tokens; returns how many."""
    return await _ended(tx, await tx.fetch(REVOKE_SESSIONS, user_id, now, reason, only, but), now)


async def revoke_of_client(tx: Transaction, client_id: UUID, reason: str, *, now: datetime) -> None:
    """Whatever people let this client in for."""
    await _ended(tx, await tx.fetch(REVOKE_OF_CLIENT, client_id, now, reason), now)


async def _ended(tx: Transaction, rows: Sequence[Any], now: datetime) -> int:
    ids = [row["id"] for row in rows]
    if ids:
        await revocations.revoke(tx, Kind.SESSION, *ids, now=now)
        await notices.add(tx, ids, now=now)
    return len(ids)


async def set_amr(tx: Transaction, id: UUID, user_id: UUID, amr: tuple[str, ...]) -> None:
    """What its user has shown since it was opened."""
    await tx.execute("update sessions set amr = $3 where id = $1 and user_id = $2", id, user_id, list(amr))


async def prune_spent(tx: Transaction, *, before: datetime, limit: int = 1000) -> int:
    """Delete refresh tokens that were exchanged before then; returns how many."""
    return int((await tx.execute(PRUNE_SPENT, before, limit)).split()[-1])


async def prune_sessions(tx: Transaction, *, before: datetime, limit: int = 1000) -> int:
    """Delete sessions that ended before then, with their tokens; returns how many."""
    done = await tx.execute(
        "delete from sessions where id in (select id from sessions where expires_at < $1 limit $2)",
        before,
        limit,
    )
    return int(done.split()[-1])
