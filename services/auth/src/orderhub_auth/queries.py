"""Reads: one user, and the list for operators."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from orderhub_chassis.db import Database

from orderhub_auth.api_keys.model import ApiKey, Maker
from orderhub_auth.keys import StoredKey
from orderhub_auth.model import Client, Code, Session, User
from orderhub_auth.store.api_keys import api_key_from
from orderhub_auth.store.browsers import LIVE, LiveSession, live_from
from orderhub_auth.store.codes import code_from
from orderhub_auth.store.second_factors import CODES_LEFT
from orderhub_auth.store.token_keys import KEYS
from orderhub_auth.store.users import user_from

LIST = """
select * from users where ($1 = '' or $1 = any (roles)) and ($2::uuid is null or id < $2)
order by id desc limit $3
"""


SESSIONS = """
select s.*, c.name as client_name from sessions s left join clients c on c.id = s.client_id
where s.user_id = $1 and s.revoked_at is null and s.expires_at > $2 and ($3::uuid is null or s.id < $3)
order by s.id desc limit $4
"""


FRESH = """
select exists (
    select from sessions where id = $1 and user_id = $2 and client_id is null and revoked_at is null
        and coalesce(authenticated_at, created_at) > $3 and expires_at > $4
)
"""
API_KEYS = """
select k.*, u.roles as maker_roles, u.vendor_id as maker_vendor_id, u.disabled as maker_disabled
from api_keys k join users u on u.id = k.created_by where k.public_id = any ($1::text[])
"""
LIST_API_KEYS = """
select * from api_keys where ($1::uuid is null or vendor_id = $1) and ($2::uuid is null or id < $2)
order by id desc limit $3
"""


TOKEN_SESSION = """
select s.user_id, s.client_id, s.scopes, s.expires_at
from refresh_tokens t join sessions s on s.id = t.session_id join users u on u.id = s.user_id
where t.token_hash = $1 and t.spent_at is null and s.revoked_at is null and s.expires_at > $2 and not u.disabled
"""


@dataclass(frozen=True, slots=True)
class TokenSession:
    """What a refresh token is good for."""

    user_id: UUID
    client_id: UUID | None
    scopes: tuple[str, ...]
    expires_at: datetime


async def user_by_email(db: Database, email: str) -> User | None:
    row = await db.fetchrow("select * from users where email = $1", email)
    return user_from(row) if row else None


async def user_by_id(db: Database, id: UUID) -> User | None:
    row = await db.fetchrow("select * from users where id = $1", id)
    return user_from(row) if row else None


async def list_users(db: Database, *, role: str, before: UUID | None, limit: int) -> list[User]:
    return [user_from(row) for row in await db.fetch(LIST, role, before, limit)]


async def sessions_of(db: Database, user_id: UUID, *, before: UUID | None, limit: int) -> list[Session]:
    """The live ones, newest first."""
    return [_session(row) for row in await db.fetch(SESSIONS, user_id, db.clock.now(), before, limit)]


async def is_fresh(db: Database, user_id: UUID, session_id: UUID | None, since: datetime) -> bool:
    """Whether this is a live session of the user's own, no client's, and it was authenticated since then."""
    return bool(await db.fetchval(FRESH, session_id, user_id, since, db.clock.now()))


async def recovery_codes_left(db: Database, user_id: UUID) -> int:
    return int(await db.fetchval(CODES_LEFT, user_id))


async def code(db: Database, hash: bytes) -> Code | None:
    row = await db.fetchrow("select * from codes where code_hash = $1", hash)
    return code_from(row) if row else None


async def api_keys(db: Database, public_ids: list[str]) -> dict[str, tuple[ApiKey, Maker]]:
    """With whoever made each, as it stands now."""
    rows = await db.fetch(API_KEYS, public_ids)
    return {
        row["public_id"]: (
            api_key_from(row),
            Maker(tuple(row["maker_roles"]), row["maker_vendor_id"], row["maker_disabled"]),
        )
        for row in rows
    }


async def api_key(db: Database, id: UUID) -> ApiKey | None:
    row = await db.fetchrow("select * from api_keys where id = $1", id)
    return api_key_from(row) if row else None


async def list_api_keys(
    db: Database, vendor_id: UUID | None, *, before: UUID | None, limit: int
) -> list[ApiKey]:
    """Newest first; of all vendors where none is named."""
    return [api_key_from(row) for row in await db.fetch(LIST_API_KEYS, vendor_id, before, limit)]


async def token_keys(db: Database) -> list[StoredKey]:
    return [StoredKey(*row) for row in await db.fetch(KEYS)]


def _session(row: Any) -> Session:
    # A session that code before this column has opened was last seen then.
    seen = row["last_seen_at"] or row["created_at"]
    return Session(
        row["id"], Client(row["address"], row["user_agent"]), row["created_at"], seen, row["expires_at"],
        row["client_name"] or "",
    )  # fmt: skip


async def live_session(db: Database, id: UUID) -> LiveSession | None:
    """A session that has not ended."""
    row = await db.fetchrow(LIVE, id, db.clock.now())
    return live_from(row) if row else None


async def refresh_token(db: Database, hash: bytes) -> TokenSession | None:
    """The session of a refresh token that can be exchanged."""
    row = await db.fetchrow(TOKEN_SESSION, hash, db.clock.now())
    return (
        TokenSession(row["user_id"], row["client_id"], tuple(row["scopes"]), row["expires_at"])
        if row
        else None
    )
