"""The SQL of auth's writes."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from orderhub_chassis.db import Transaction

from orderhub_auth.errors import EmailTaken, UserNotFound
from orderhub_auth.keys import StoredKey
from orderhub_auth.model import Client, Code, Presented, Purpose, User

INSERT_USER = """
insert into users (id, email, name, password_hash, roles, vendor_id, email_verified, disabled, created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
"""
SET_USER = """
update users set password_hash = $2, roles = $3, vendor_id = $4, name = $5, disabled = false, updated_at = $6
where email = $1 returning *
"""
SAVE_USER = """
update users set name = $2, roles = $3, vendor_id = $4, disabled = $5, updated_at = $6 where id = $1
"""
OTHER_OPERATORS = "select count(*) from users where 'operator' = any (roles) and not disabled and id <> $1"
OPERATORS_LOCK = 7_110_518
LOAD_PRESENTED = """
select t.session_id, s.user_id, t.spent_at, t.uses, s.expires_at, s.revoked_at
from refresh_tokens t join sessions s on s.id = t.session_id
where t.token_hash = $1 for update of s, t
"""
INSERT_SESSION = """
insert into sessions (id, user_id, address, user_agent, created_at, last_seen_at, expires_at)
values ($1, $2, $3, $4, $5, $5, $6)
"""
SEE_SESSION = """
update sessions set expires_at = $2, last_seen_at = $3, address = $4, user_agent = $5 where id = $1
"""
REVOKE_SESSIONS = """
update sessions set revoked_at = $2, revoked_reason = $3
where user_id = $1 and revoked_at is null and expires_at > $2 and ($4::uuid is null or id = $4) and id is distinct from $5
"""
INSERT_CODE = """
insert into codes (code_hash, user_id, purpose, created_at, expires_at) values ($1, $2, $3, $4, $5)
"""
CODE_SINCE = "select exists (select from codes where user_id = $1 and purpose = $2 and created_at > $3)"
SPEND_CODES = "update codes set spent_at = $3 where user_id = $1 and purpose = $2 and spent_at is null"
PRUNE_CODES = """
delete from codes where code_hash in (select code_hash from codes where expires_at < $1 limit $2)
"""
SIGNING_KEYS = "select kid, public_jwk, sealed from signing_keys order by created_at desc, kid"
KEY_CREATION_LOCK = 7_110_517


def user_from(row: Any) -> User:
    return User(
        row["id"], row["email"], row["name"], row["password_hash"], tuple(row["roles"]), row["vendor_id"],
        row["email_verified"], row["disabled"], row["created_at"],
    )  # fmt: skip


async def insert_user(tx: Transaction, user: User) -> None:
    """Raises EmailTaken."""
    try:
        await tx.execute(
            INSERT_USER, user.id, user.email, user.name, user.password_hash, list(user.roles), user.vendor_id,
            user.email_verified, user.disabled, user.created_at,
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        raise EmailTaken from error


async def set_user(tx: Transaction, user: User, *, now: datetime) -> User | None:
    """Give the user of that address this password, these roles and this vendor; None where there is none."""
    row = await tx.fetchrow(
        SET_USER, user.email, user.password_hash, list(user.roles), user.vendor_id, user.name, now
    )
    return user_from(row) if row else None


async def save_user(tx: Transaction, user: User, *, now: datetime) -> None:
    """What operators may change of a user."""
    await tx.execute(SAVE_USER, user.id, user.name, list(user.roles), user.vendor_id, user.disabled, now)


async def other_operators(tx: Transaction, user_id: UUID) -> int:
    """How many others could undo what is done to this one. Two operators who ask at once wait for each other."""
    await tx.execute("select pg_advisory_xact_lock($1)", OPERATORS_LOCK)
    return int(await tx.fetchval(OTHER_OPERATORS, user_id))


async def set_password_hash(tx: Transaction, user_id: UUID, hash: str, *, now: datetime) -> None:
    await tx.execute("update users set password_hash = $2, updated_at = $3 where id = $1", user_id, hash, now)


async def load_user(tx: Transaction, user_id: UUID, *, to_change: bool = False) -> User:
    """Raises UserNotFound."""
    lock = "no key update" if to_change else "share"
    row = await tx.fetchrow(f"select * from users where id = $1 for {lock}", user_id)
    if row is None:
        raise UserNotFound
    return user_from(row)


async def insert_session(
    tx: Transaction, id: UUID, user_id: UUID, client: Client, *, now: datetime, until: datetime
) -> None:
    await tx.execute(INSERT_SESSION, id, user_id, client.address, client.user_agent, now, until)


async def insert_refresh_token(tx: Transaction, hash: bytes, session_id: UUID, *, now: datetime) -> None:
    await tx.execute(
        "insert into refresh_tokens (token_hash, session_id, issued_at) values ($1, $2, $3)",
        hash, session_id, now,
    )  # fmt: skip


async def load_presented(tx: Transaction, hash: bytes) -> Presented | None:
    row = await tx.fetchrow(LOAD_PRESENTED, hash)
    return Presented(**dict(row)) if row else None


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
    await tx.execute(
        "update sessions set revoked_at = $2, revoked_reason = $3 where id = $1 and revoked_at is null",
        id, now, reason,
    )  # fmt: skip


async def revoke_sessions(
    tx: Transaction,
    user_id: UUID,
    reason: str,
    *,
    now: datetime,
    only: UUID | None = None,
    but: UUID | None = None,
) -> int:
    """End the live sessions of a user, one of them, or all but one; returns how many."""
    return int((await tx.execute(REVOKE_SESSIONS, user_id, now, reason, only, but)).split()[-1])


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


async def set_verified(tx: Transaction, user_id: UUID, *, now: datetime) -> None:
    await tx.execute("update users set email_verified = true, updated_at = $2 where id = $1", user_id, now)


async def prune_codes(tx: Transaction, *, before: datetime, limit: int = 1000) -> int:
    """Delete codes that are over; returns how many."""
    done = await tx.execute(PRUNE_CODES, before, limit)
    return int(done.split()[-1])


async def prune_sessions(tx: Transaction, *, before: datetime, limit: int = 1000) -> int:
    """Delete sessions that ended before then, with their tokens; returns how many."""
    done = await tx.execute(
        "delete from sessions where id in (select id from sessions where expires_at < $1 limit $2)",
        before,
        limit,
    )
    return int(done.split()[-1])


async def signing_keys(tx: Transaction) -> list[StoredKey]:
    """Newest first, after waiting for whoever makes the first one just now."""
    await tx.execute("select pg_advisory_xact_lock($1)", KEY_CREATION_LOCK)
    return [StoredKey(*row) for row in await tx.fetch(SIGNING_KEYS)]


async def insert_signing_key(tx: Transaction, key: StoredKey, *, now: datetime) -> None:
    await tx.execute(
        "insert into signing_keys (kid, public_jwk, sealed, created_at) values ($1, $2, $3, $4)",
        key.kid, key.public_jwk, key.sealed, now,
    )  # fmt: skip
