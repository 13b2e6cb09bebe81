"""Sessions as the provider sees them: of browsers that are logged in, of clients, and the live ones to look at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from orderhub_chassis.db import Transaction

from orderhub_auth.model import Authentication

LIVE: Final = """
select s.id, s.user_id, s.client_id, s.scopes, s.claims, s.amr,
    coalesce(s.authenticated_at, s.created_at) as authenticated_at
from sessions s where s.id = $1 and s.revoked_at is null and s.expires_at > $2
"""
BROWSER: Final = """
select id, user_id from sessions where cookie_hash = $1 and revoked_at is null and expires_at > $2 for update
"""
AGAIN: Final = """
update sessions set cookie_hash = $2, amr = $3, authenticated_at = $4, last_seen_at = $4, expires_at = $5 where id = $1
"""
MISS: Final = """
update sessions set misses = case when missed_at > $2 then misses + 1 else 1 end, missed_at = $3 where id = $1
"""


@dataclass(frozen=True, slots=True)
class LiveSession:
    """A session that has not ended. `claims` are what its client asked userinfo for by name."""

    id: UUID
    user_id: UUID
    client_id: UUID | None
    scopes: tuple[str, ...]
    claims: tuple[str, ...]
    how: Authentication


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """A browser that is logged in."""

    id: UUID
    user_id: UUID


def live_from(row: Any) -> LiveSession:
    how = Authentication(tuple(row["amr"]), row["authenticated_at"])
    return LiveSession(
        row["id"], row["user_id"], row["client_id"], tuple(row["scopes"]), tuple(row["claims"]), how
    )


async def load_live(tx: Transaction, id: UUID, *, now: datetime) -> LiveSession | None:
    row = await tx.fetchrow(f"{LIVE} for update", id, now)
    return live_from(row) if row else None


async def load_browser(tx: Transaction, cookie_hash: bytes, *, now: datetime) -> BrowserSession | None:
    row = await tx.fetchrow(BROWSER, cookie_hash, now)
    return BrowserSession(row["id"], row["user_id"]) if row else None


async def log_in_again(
    tx: Transaction, id: UUID, cookie_hash: bytes, how: Authentication, *, until: datetime
) -> None:
    """The same browser session, under a new cookie."""
    await tx.execute(AGAIN, id, cookie_hash, list(how.amr), how.at, until)


async def misses(tx: Transaction, id: UUID, *, since: datetime) -> int:
    """Wrong codes of devices that were typed in this browser, the last of them after then."""
    found = await tx.fetchval("select misses from sessions where id = $1 and missed_at > $2", id, since)
    return int(found or 0)


async def miss(tx: Transaction, id: UUID, *, since: datetime, now: datetime) -> None:
    await tx.execute(MISS, id, since, now)
