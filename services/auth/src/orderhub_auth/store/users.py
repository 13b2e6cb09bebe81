"""Users: loaded with locks, made and changed."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from orderhub_chassis.db import Transaction

from orderhub_auth.errors import EmailTaken, UserNotFound
from orderhub_auth.model import PostalAddress, User, loses_tokens
from orderhub_auth.store import revocations

INSERT_USER = """
insert into users (id, email, name, password_hash, roles, vendor_id, email_verified, disabled, created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
"""
INSERT_NEW_USER = f"{INSERT_USER} on conflict (email) do nothing returning id"
SET_USER = """
update users set password_hash = $2, roles = $3, vendor_id = $4, name = $5, disabled = false, locked_until = null, updated_at = $6
where email = $1 returning *
"""
BY_EMAIL = "select * from users where email = $1 for no key update"
SAVE_USER = """
update users set name = $2, roles = $3, vendor_id = $4, disabled = $5, locked_until = $6, updated_at = $7
where id = $1
"""
SAVE_PROFILE = "update users set name = $2, phone = $3, address = $4, updated_at = $5 where id = $1"
OTHER_OPERATORS = """
select count(*) from users
where 'operator' = any (roles) and not disabled and (locked_until is null or locked_until <= $2) and id <> $1
"""
OPERATORS_LOCK = 7_110_518


def user_from(row: Any) -> User:
    return User(
        row["id"], row["email"], row["name"], row["password_hash"], tuple(row["roles"]), row["vendor_id"],
        row["email_verified"], row["disabled"], row["created_at"], row["updated_at"], row["phone"],
        PostalAddress(**json.loads(row["address"] or "{}")), row["locked_until"],
        row["mfa_enabled"], row["epoch"],
    )  # fmt: skip


def _columns(user: User) -> tuple[Any, ...]:
    return (
        user.id, user.email, user.name, user.password_hash, list(user.roles), user.vendor_id,
        user.email_verified, user.disabled, user.created_at,
    )  # fmt: skip


async def insert_user(tx: Transaction, user: User) -> None:
    """Raises EmailTaken."""
    try:
        await tx.execute(INSERT_USER, *_columns(user))
    except asyncpg.UniqueViolationError as error:
        raise EmailTaken from error


async def insert_new_user(tx: Transaction, user: User) -> bool:
    """False where the address has a user; one that is just being made by somebody else is waited for."""
    return await tx.fetchval(INSERT_NEW_USER, *_columns(user)) is not None


async def load_warned(tx: Transaction, email: str) -> tuple[User, datetime | None]:
    """The user of that address, to change, and when it was last told of an attempt to register with it.

    Raises UserNotFound.
    """
    row = await tx.fetchrow("select * from users where email = $1 for no key update", email)
    if row is None:
        raise UserNotFound
    return user_from(row), row["warned_at"]


async def set_warned(tx: Transaction, user_id: UUID, at: datetime | None) -> None:
    await tx.execute("update users set warned_at = $2 where id = $1", user_id, at)


async def set_user(tx: Transaction, user: User, *, now: datetime) -> User | None:
    """Give the user of that address this password, these roles and this vendor; None where there is none."""
    before = await tx.fetchrow(BY_EMAIL, user.email)
    if before is None:
        return None
    row = await tx.fetchrow(
        SET_USER, user.email, user.password_hash, list(user.roles), user.vendor_id, user.name, now
    )
    if loses_tokens(user_from(before), after := user_from(row), now=now):
        await revocations.revoke_user(tx, after.id, now=now)
    return after


async def save_user(tx: Transaction, user: User) -> None:
    """What operators may change of a user."""
    await tx.execute(
        SAVE_USER, user.id, user.name, list(user.roles), user.vendor_id, user.disabled, user.locked_until,
        user.updated_at,
    )  # fmt: skip


async def save_profile(tx: Transaction, user: User) -> None:
    """What users may change of themselves."""
    known = user.address.known()
    address = json.dumps(known) if known else None
    await tx.execute(SAVE_PROFILE, user.id, user.name, user.phone, address, user.updated_at)


async def other_operators(tx: Transaction, user_id: UUID, *, now: datetime) -> int:
    """How many others could undo what is done to this one. Two operators who ask at once wait for each other."""
    await tx.execute("select pg_advisory_xact_lock($1)", OPERATORS_LOCK)
    return int(await tx.fetchval(OTHER_OPERATORS, user_id, now))


async def set_password_hash(tx: Transaction, user_id: UUID, hash: str, *, now: datetime) -> None:
    await tx.execute("update users set password_hash = $2, updated_at = $3 where id = $1", user_id, hash, now)


async def set_verified(tx: Transaction, user_id: UUID, *, now: datetime) -> None:
    await tx.execute("update users set email_verified = true, updated_at = $2 where id = $1", user_id, now)


async def set_mfa_enabled(tx: Transaction, user_id: UUID, enabled: bool, *, now: datetime) -> None:
    await tx.execute(
        "update users set mfa_enabled = $2, updated_at = $3 where id = $1", user_id, enabled, now
    )


async def load_user(tx: Transaction, user_id: UUID, *, to_change: bool = False) -> User:
    """Raises UserNotFound."""
    lock = "no key update" if to_change else "share"
    row = await tx.fetchrow(f"select * from users where id = $1 for {lock}", user_id)
    if row is None:
        raise UserNotFound
    return user_from(row)
