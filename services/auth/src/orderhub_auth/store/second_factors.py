"""Authenticators, recovery codes, and logins whose second step is open."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from orderhub_chassis.db import Transaction

from orderhub_auth.model import SecondStep
from orderhub_auth.totp import Standing

SET_AUTHENTICATOR = """
insert into authenticators (user_id, sealed, sealed_by, created_at) values ($1, $2, $3, $4)
on conflict (user_id) do update set sealed = $2, sealed_by = $3, created_at = $4, last_step = -1, failures = 0,
    failed_at = null
where authenticators.confirmed_at is null
"""
SAVE_STANDING = "update authenticators set last_step = $2, failures = $3, failed_at = $4 where user_id = $1"
INSERT_CODES = """
insert into recovery_codes (user_id, code_hash, created_at) select $1, unnest($2::bytea[]), $3
"""
SPEND_CODE = """
update recovery_codes set spent_at = $3 where user_id = $1 and code_hash = $2 and spent_at is null
"""
CODES_LEFT = "select count(*) from recovery_codes where user_id = $1 and spent_at is null"
INSERT_STEP = """
insert into mfa_tokens (token_hash, user_id, password_digest, created_at, expires_at) values ($1, $2, $3, $4, $5)
"""
LOAD_STEP = """
select user_id, password_digest, expires_at, guesses, spent_at from mfa_tokens where token_hash = $1 for update
"""
PRUNE_STEPS = """
delete from mfa_tokens where token_hash in (select token_hash from mfa_tokens where expires_at < $1 limit $2)
"""
SEALED_BY = """
select user_id, sealed from authenticators where sealed_by = any ($1) order by user_id limit $2
for no key update skip locked
"""
RESEAL = """
update authenticators a set sealed = again.sealed, sealed_by = $3
from unnest($1::uuid[], $2::text[]) as again (user_id, sealed) where a.user_id = again.user_id
"""


@dataclass(frozen=True, slots=True)
class Authenticator:
    """An app that has the secret; asked for codes once it is confirmed."""

    user_id: UUID
    sealed: str
    created_at: datetime
    confirmed_at: datetime | None
    standing: Standing


async def load_authenticator(tx: Transaction, user_id: UUID) -> Authenticator | None:
    """Locked: two codes at once are looked at one after the other."""
    row = await tx.fetchrow("select * from authenticators where user_id = $1 for no key update", user_id)
    if row is None:
        return None
    standing = Standing(row["last_step"], row["failures"], row["failed_at"])
    return Authenticator(user_id, row["sealed"], row["created_at"], row["confirmed_at"], standing)


async def set_authenticator(
    tx: Transaction, user_id: UUID, sealed: str, sealed_by: str, *, now: datetime
) -> None:
    """In the place of one that was never confirmed; a confirmed one stays."""
    await tx.execute(SET_AUTHENTICATOR, user_id, sealed, sealed_by, now)


async def save_standing(tx: Transaction, user_id: UUID, standing: Standing) -> None:
    await tx.execute(SAVE_STANDING, user_id, standing.last_step, standing.failures, standing.failed_at)


async def confirm_authenticator(tx: Transaction, user_id: UUID, *, now: datetime) -> None:
    await tx.execute("update authenticators set confirmed_at = $2 where user_id = $1", user_id, now)


async def delete_factors(tx: Transaction, user_id: UUID) -> None:
    await tx.execute("delete from authenticators where user_id = $1", user_id)
    await tx.execute("delete from recovery_codes where user_id = $1", user_id)


async def replace_recovery_codes(
    tx: Transaction, user_id: UUID, hashes: Collection[bytes], *, now: datetime
) -> None:
    await tx.execute("delete from recovery_codes where user_id = $1", user_id)
    await tx.execute(INSERT_CODES, user_id, hashes, now)


async def spend_recovery_code(tx: Transaction, user_id: UUID, hash: bytes, *, now: datetime) -> bool:
    """Whether it was there to be spent; of two at once one is."""
    return await tx.execute(SPEND_CODE, user_id, hash, now) == "UPDATE 1"


async def recovery_codes_left(tx: Transaction, user_id: UUID) -> int:
    return int(await tx.fetchval(CODES_LEFT, user_id))


async def insert_step(tx: Transaction, hash: bytes, step: SecondStep, *, now: datetime) -> None:
    await tx.execute(INSERT_STEP, hash, step.user_id, step.password_digest, now, step.expires_at)


async def load_step(tx: Transaction, hash: bytes) -> SecondStep | None:
    row = await tx.fetchrow(LOAD_STEP, hash)
    return SecondStep(**dict(row)) if row else None


async def count_guess(tx: Transaction, hash: bytes) -> None:
    await tx.execute("update mfa_tokens set guesses = guesses + 1 where token_hash = $1", hash)


async def spend_step(tx: Transaction, hash: bytes, *, now: datetime) -> None:
    await tx.execute("update mfa_tokens set spent_at = $2 where token_hash = $1", hash, now)


async def prune_steps(tx: Transaction, *, before: datetime, limit: int = 1000) -> int:
    """Delete second steps that are over; returns how many."""
    return int((await tx.execute(PRUNE_STEPS, before, limit)).split()[-1])


async def load_sealed_by(
    tx: Transaction, names: Collection[str], *, limit: int = 100
) -> list[tuple[UUID, str]]:
    """Owners and secrets that these keys have sealed; those that somebody is using come next time."""
    return [(row["user_id"], row["sealed"]) for row in await tx.fetch(SEALED_BY, names, limit)]


async def reseal(tx: Transaction, sealed: Mapping[UUID, str], sealed_by: str) -> None:
    await tx.execute(RESEAL, list(sealed), list(sealed.values()), sealed_by)
