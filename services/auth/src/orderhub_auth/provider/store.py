"""The provider's SQL: clients, what browsers are shown, codes, consents, devices, assertions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from orderhub_chassis.db import Database, Transaction

from orderhub_auth.model import Authentication
from orderhub_auth.provider.model import Login, RelyingParty

INSERT_CLIENT = """
insert into clients (
    id, name, secret_hash, auth_method, jwks, redirect_uris, post_logout_redirect_uris, backchannel_logout_uri, grant_types,
    scopes, id_token_alg, require_pkce, first_party, roles, vendor_id, disabled, created_at, updated_at
) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
"""
SAVE_CLIENT = """
update clients set
    name = $2, secret_hash = $3, auth_method = $4, jwks = $5, redirect_uris = $6, post_logout_redirect_uris = $7,
    backchannel_logout_uri = $8, grant_types = $9, scopes = $10, id_token_alg = $11, require_pkce = $12, first_party = $13,
    roles = $14, vendor_id = $15, disabled = $16, created_at = $17, updated_at = $18
where id = $1
"""
LIST_CLIENTS = "select * from clients where ($1::uuid is null or id < $1) order by id desc limit $2"
LOGIN = """
select id, user_id, amr, coalesce(authenticated_at, created_at) as authenticated_at from sessions
where cookie_hash = $1 and revoked_at is null and expires_at > $2
"""
INSERT_INTERACTION = """
insert into interactions (secret_hash, cookie_hash, kind, parameters, created_at, expires_at)
values ($1, $2, $3, $4, $5, $6)
"""
INSERT_CODE = """
insert into authorization_codes (
    code_hash, client_id, user_id, login_id, redirect_uri, scopes, nonce, challenge, userinfo_claims, id_token_claims,
    created_at, expires_at
) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""
LOAD_CODE = """
select c.*, s.amr, coalesce(s.authenticated_at, s.created_at) as authenticated_at,
    s.revoked_at is not null as login_ended
from authorization_codes c join sessions s on s.id = c.login_id
where c.code_hash = $1 for update of c
"""
ADD_CONSENT = """
insert into consents (user_id, client_id, scopes, granted_at) values ($1, $2, $3, $4)
on conflict (user_id, client_id) do update set
    scopes = array(select distinct unnest(consents.scopes || excluded.scopes) order by 1), granted_at = excluded.granted_at
"""
INSERT_DEVICE = """
insert into device_grants (device_hash, user_code, client_id, scopes, interval_seconds, created_at, expires_at)
values ($1, $2, $3, $4, $5, $6, $7)
"""
PRUNED: Final = ("interactions", "authorization_codes", "device_grants", "client_assertions")


@dataclass(frozen=True, slots=True)
class Interaction:
    """A page that a browser was shown. `user_id` is who gave the password on it, while the second factor is missing, and
    `password_digest` of which password; `misses` are wrong codes since."""

    secret_hash: bytes
    cookie_hash: bytes
    kind: str
    parameters: tuple[tuple[str, str], ...]
    user_id: UUID | None
    misses: int
    created_at: datetime
    expires_at: datetime
    password_digest: bytes | None = None


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code, with the login that it stems from."""

    hash: bytes
    client_id: UUID
    user_id: UUID
    login_id: UUID
    redirect_uri: str
    scopes: tuple[str, ...]
    nonce: str
    challenge: str
    userinfo_claims: tuple[str, ...]
    id_token_claims: tuple[str, ...]
    expires_at: datetime
    spent_at: datetime | None = None
    session_id: UUID | None = None
    how: Authentication | None = None
    login_ended: bool = False


@dataclass(frozen=True, slots=True)
class Device:
    """RFC 8628: a device that waits for a person to let it in."""

    hash: bytes
    user_code: str
    client_id: UUID
    scopes: tuple[str, ...]
    state: str
    login_id: UUID | None
    interval_seconds: int
    polled_at: datetime | None
    expires_at: datetime


def client_from(row: Any) -> RelyingParty:
    return RelyingParty(
        row["id"], row["name"], row["secret_hash"], row["auth_method"], row["jwks"], tuple(row["redirect_uris"]),
        tuple(row["post_logout_redirect_uris"]), row["backchannel_logout_uri"], tuple(row["grant_types"]),
        tuple(row["scopes"]), row["id_token_alg"], row["require_pkce"], row["first_party"], tuple(row["roles"]),
        row["vendor_id"], row["disabled"], row["created_at"], row["updated_at"],
    )  # fmt: skip


def _columns(client: RelyingParty) -> tuple[Any, ...]:
    return (
        client.id, client.name, client.secret_hash, client.auth_method, client.jwks, list(client.redirect_uris),
        list(client.post_logout_redirect_uris), client.backchannel_logout_uri, list(client.grant_types),
        list(client.scopes), client.id_token_alg, client.require_pkce, client.first_party, list(client.roles),
        client.vendor_id, client.disabled, client.created_at, client.updated_at,
    )  # fmt: skip


async def insert_client(tx: Transaction, client: RelyingParty) -> None:
    await tx.execute(INSERT_CLIENT, *_columns(client))


async def save_client(tx: Transaction, client: RelyingParty) -> None:
    await tx.execute(SAVE_CLIENT, *_columns(client))


async def load_client(tx: Transaction, id: UUID) -> RelyingParty | None:
    row = await tx.fetchrow("select * from clients where id = $1 for no key update", id)
    return client_from(row) if row else None


async def delete_client(tx: Transaction, id: UUID) -> None:
    await tx.execute("delete from clients where id = $1", id)


async def client(db: Database, id: UUID) -> RelyingParty | None:
    row = await db.fetchrow("select * from clients where id = $1", id)
    return client_from(row) if row else None


async def list_clients(db: Database, *, before: UUID | None, limit: int) -> list[RelyingParty]:
    """Newest first."""
    return [client_from(row) for row in await db.fetch(LIST_CLIENTS, before, limit)]


async def login(db: Database, cookie_hash: bytes) -> Login | None:
    """Who is logged in with the browser of this cookie."""
    row = await db.fetchrow(LOGIN, cookie_hash, db.clock.now())
    if row is None:
        return None
    return Login(row["id"], row["user_id"], Authentication(tuple(row["amr"]), row["authenticated_at"]))


async def insert_interaction(tx: Transaction, one: Interaction) -> None:
    parameters = json.dumps(one.parameters)
    await tx.execute(
        INSERT_INTERACTION,
        one.secret_hash,
        one.cookie_hash,
        one.kind,
        parameters,
        one.created_at,
        one.expires_at,
    )


async def load_interaction(tx: Transaction, hash: bytes) -> Interaction | None:
    row = await tx.fetchrow("select * from interactions where secret_hash = $1 for update", hash)
    if row is None:
        return None
    parameters = tuple((name, value) for name, value in json.loads(row["parameters"]))
    return Interaction(
        row["secret_hash"], row["cookie_hash"], row["kind"], parameters, row["user_id"], row["misses"],
        row["created_at"], row["expires_at"], row["password_digest"],
    )  # fmt: skip


async def save_interaction(tx: Transaction, one: Interaction) -> None:
    await tx.execute(
        "update interactions set cookie_hash = $2, user_id = $3, misses = $4, password_digest = $5"
        " where secret_hash = $1",
        one.secret_hash, one.cookie_hash, one.user_id, one.misses, one.password_digest,
    )  # fmt: skip


async def delete_interaction(tx: Transaction, hash: bytes) -> None:
    await tx.execute("delete from interactions where secret_hash = $1", hash)


async def insert_code(tx: Transaction, code: Code, *, now: datetime) -> None:
    await tx.execute(
        INSERT_CODE, code.hash, code.client_id, code.user_id, code.login_id, code.redirect_uri, list(code.scopes),
        code.nonce, code.challenge, list(code.userinfo_claims), list(code.id_token_claims), now, code.expires_at,
    )  # fmt: skip


async def load_code(tx: Transaction, hash: bytes) -> Code | None:
    row = await tx.fetchrow(LOAD_CODE, hash)
    if row is None:
        return None
    return Code(
        row["code_hash"], row["client_id"], row["user_id"], row["login_id"], row["redirect_uri"],
        tuple(row["scopes"]), row["nonce"], row["challenge"], tuple(row["userinfo_claims"]),
        tuple(row["id_token_claims"]), row["expires_at"], row["spent_at"], row["session_id"],
        Authentication(tuple(row["amr"]), row["authenticated_at"]), row["login_ended"],
    )  # fmt: skip


async def spend_code(tx: Transaction, hash: bytes, session_id: UUID | None, *, now: datetime) -> None:
    await tx.execute(
        "update authorization_codes set spent_at = $2, session_id = $3 where code_hash = $1",
        hash,
        now,
        session_id,
    )


async def consented(db: Database, user_id: UUID, client_id: UUID) -> frozenset[str]:
    """What the person has allowed this client."""
    scopes = await db.fetchval(
        "select scopes from consents where user_id = $1 and client_id = $2", user_id, client_id
    )
    return frozenset(scopes or ())


async def add_consent(
    tx: Transaction, user_id: UUID, client_id: UUID, scopes: tuple[str, ...], *, now: datetime
) -> None:
    await tx.execute(ADD_CONSENT, user_id, client_id, sorted(scopes), now)


async def insert_device(tx: Transaction, device: Device, *, now: datetime) -> bool:
    """False where the user code is taken."""
    taken = await tx.fetchval(
        "select exists (select from device_grants where user_code = $1)", device.user_code
    )
    if taken:
        return False
    await tx.execute(
        INSERT_DEVICE, device.hash, device.user_code, device.client_id, list(device.scopes),
        device.interval_seconds, now, device.expires_at,
    )  # fmt: skip
    return True


async def load_device(
    tx: Transaction, *, hash: bytes | None = None, user_code: str | None = None
) -> Device | None:
    """By the code that the device has, or by the one that the person types."""
    row = await tx.fetchrow(
        "select * from device_grants where device_hash = $1 or user_code = $2 for update", hash, user_code
    )
    if row is None:
        return None
    return Device(
        row["device_hash"], row["user_code"], row["client_id"], tuple(row["scopes"]), row["state"],
        row["login_id"], row["interval_seconds"], row["polled_at"], row["expires_at"],
    )  # fmt: skip


async def save_device(tx: Transaction, device: Device) -> None:
    await tx.execute(
        "update device_grants set state = $2, login_id = $3, interval_seconds = $4, polled_at = $5"
        " where device_hash = $1",
        device.hash, device.state, device.login_id, device.interval_seconds, device.polled_at,
    )  # fmt: skip


async def take_assertion(tx: Transaction, client_id: UUID, jti_hash: bytes, until: datetime) -> bool:
    """False where it was taken before (RFC 7523, section 3, point 7)."""
    done = await tx.execute(
        "insert into client_assertions (client_id, jti_hash, expires_at) values ($1, $2, $3) on conflict do nothing",
        client_id, jti_hash, until,
    )  # fmt: skip
    return done.endswith(" 1")


async def prune(tx: Transaction, *, before: datetime, limit: int = 1000) -> int:
    """Delete what ran out before then; returns how many rows."""
    total = 0
    for table in PRUNED:
        done = await tx.execute(
            f"delete from {table} where ctid in (select ctid from {table} where expires_at < $1 limit $2)",
            before, limit,
        )  # fmt: skip
        total += int(done.split()[-1])
    return total
