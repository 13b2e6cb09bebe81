"""Registering relying parties, for operators."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from orderhub_chassis.db import Database, Transaction
from orderhub_contracts.revocations import Kind

from orderhub_auth import model as accounts
from orderhub_auth import tokens
from orderhub_auth.provider import model, registration, store
from orderhub_auth.provider.errors import ClientHasNoSecret, ClientNotFound
from orderhub_auth.provider.model import RelyingParty
from orderhub_auth.provider.registration import Registration
from orderhub_auth.store import revocations, sessions

SECRET_PREFIX: Final = "ohs_"
"""Lets secret scanners recognise a leaked secret."""


@dataclass(frozen=True, slots=True)
class Registered:
    """The client, and its secret where one was just made: nobody can read it again."""

    party: RelyingParty
    secret: str = ""


def _new_secret() -> str:
    return SECRET_PREFIX + secrets.token_urlsafe(32)


@dataclass(frozen=True, slots=True)
class RelyingParties:
    db: Database

    async def register(self, tx: Transaction, given: Registration) -> Registered:
        """Raises Invalid that names the field."""
        good, now = registration.checked(given), self.db.clock.now()
        secret = _new_secret() if good.auth_method in model.WITH_SECRET else ""
        hash = tokens.hash_of(secret) if secret else None
        party = _party(self.db.new_id(), hash, good, disabled=False, created_at=now, updated_at=now)
        await store.insert_client(tx, party)
        return Registered(party, secret)

    async def change(self, id: UUID, given: Registration | None, disabled: bool | None) -> Registered:
        """Raises ClientNotFound, and Invalid that names the field. Who needs a secret now and had none gets one.

        A client that is disabled loses everything that it was issued.
        """
        good = registration.checked(given) if given else None

        async def work(tx: Transaction) -> Registered:
            before, now = await self._load(tx, id), self.db.clock.now()
            party, secret = before, ""
            if good is not None:
                hash = before.secret_hash if good.auth_method in model.WITH_SECRET else None
                if good.auth_method in model.WITH_SECRET and hash is None:
                    secret = _new_secret()
                    hash = tokens.hash_of(secret)
                party = _party(
                    id, hash, good, disabled=before.disabled, created_at=before.created_at, updated_at=now
                )
            if disabled is not None:
                party = replace(party, disabled=disabled, updated_at=now)
            await store.save_client(tx, party)
            if party.disabled:
                await _end_all(tx, id, "client disabled", now)
            return Registered(party, secret)

        return await self.db.run(work)

    async def renew_secret(self, id: UUID) -> Registered:
        """Raises ClientNotFound, ClientHasNoSecret."""
        secret = _new_secret()

        async def work(tx: Transaction) -> Registered:
            before = await self._load(tx, id)
            if before.auth_method not in model.WITH_SECRET:
                raise ClientHasNoSecret
            now = self.db.clock.now()
            party = replace(before, secret_hash=tokens.hash_of(secret), updated_at=now)
            await store.save_client(tx, party)
            return Registered(party, secret)

        return await self.db.run(work)

    async def delete(self, id: UUID) -> None:
        """With its sessions, codes and consents. Raises ClientNotFound."""

        async def work(tx: Transaction) -> None:
            await self._load(tx, id)
            await _end_all(tx, id, "client deleted", self.db.clock.now())
            await store.delete_client(tx, id)

        await self.db.run(work)

    async def one(self, id: UUID) -> RelyingParty:
        """Raises ClientNotFound."""
        party = await store.client(self.db, id)
        if party is None:
            raise ClientNotFound
        return party

    async def _load(self, tx: Transaction, id: UUID) -> RelyingParty:
        party = await store.load_client(tx, id)
        if party is None:
            raise ClientNotFound
        return party


async def _end_all(tx: Transaction, id: UUID, reason: str, now: datetime) -> None:
    """What people let it in for, and what it was issued as itself."""
    await sessions.revoke_of_client(tx, id, reason, now=now)
    await revocations.revoke(tx, Kind.CLIENT, id, now=now)


def _party(
    id: UUID,
    hash: bytes | None,
    good: Registration,
    *,
    disabled: bool,
    created_at: datetime,
    updated_at: datetime,
) -> RelyingParty:
    vendor = accounts.checked_roles(good.roles, good.vendor_id)[1] if good.roles else None
    return RelyingParty(
        id, good.name, hash, good.auth_method, good.jwks, good.redirect_uris, good.post_logout_redirect_uris,
        good.backchannel_logout_uri, good.grant_types, good.scopes, good.id_token_alg, good.require_pkce,
        good.first_party, good.roles, vendor, disabled, created_at, updated_at,
    )  # fmt: skip
