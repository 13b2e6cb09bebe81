"""Opens, wires and closes auth; the only room that knows all the others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import timedelta

from orderhub_chassis.db import Database, Transaction
from orderhub_chassis.grpc.server import Register
from orderhub_chassis.service import Chassis, Surroundings, open_chassis
from orderhub_chassis.settings import SettingsError
from orderhub_contracts.auth.v1 import auth_pb2, auth_pb2_grpc, profile_pb2, profile_pb2_grpc

from orderhub_auth import keys, metrics
from orderhub_auth.accounts import Accounts
from orderhub_auth.api.accounts import AuthServicer
from orderhub_auth.api.profiles import ProfileServicer
from orderhub_auth.issuing import Issuing
from orderhub_auth.keys import StoredKey
from orderhub_auth.model import Purpose
from orderhub_auth.passwords import Passwords
from orderhub_auth.recovery import Recovery
from orderhub_auth.settings import Settings
from orderhub_auth.store import codes, sessions, signing_keys
from orderhub_auth.tokens import Issuer

SERVICES = [
    auth_pb2.DESCRIPTOR.services_by_name["AuthService"].full_name,
    profile_pb2.DESCRIPTOR.services_by_name["ProfileService"].full_name,
]
PRUNE_EVERY = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Service:
    """The running auth service."""

    chassis: Chassis
    grpc_port: int


@asynccontextmanager
async def build(settings: Settings, around: Surroundings) -> AsyncIterator[Service]:
    """Raises SettingsError when the signing keys were sealed with another key-encryption key."""
    async with open_chassis("auth", settings, around, package="orderhub_auth") as chassis:
        stored = await _signing_keys(chassis.db, settings)
        issuer = _issuer(settings, stored[0])
        with closing(_passwords(settings)) as passwords:
            issuing = Issuing(chassis.db, issuer, settings.refresh_lifetime, settings.refresh_grace)
            uses = Accounts(chassis.db, passwords, issuing)
            recovery = Recovery(chassis.db, passwords, _lifetimes(settings))
            servicer = AuthServicer(uses, recovery, chassis.cursors, keys.jwks(stored), settings.jwks_max_age)
            await chassis.every(PRUNE_EVERY, "prune", lambda: _prune(chassis.db))
            profiles = ProfileServicer(chassis.db)
            registrations: list[Register] = [
                lambda server: auth_pb2_grpc.add_AuthServiceServicer_to_server(servicer, server),
                lambda server: profile_pb2_grpc.add_ProfileServiceServicer_to_server(profiles, server),
            ]
            port = await chassis.serve_grpc(registrations, SERVICES)
            chassis.readiness.opened = True
            yield Service(chassis, port)


def _lifetimes(settings: Settings) -> dict[Purpose, timedelta]:
    return {
        Purpose.PASSWORD_RESET: settings.reset_lifetime,
        Purpose.EMAIL_VERIFICATION: settings.verification_lifetime,
    }


def _passwords(settings: Settings) -> Passwords:
    return Passwords(
        memory_kib=settings.argon2_memory_kib,
        passes=settings.argon2_passes,
        threads=settings.password_threads,
        queue=settings.password_queue,
    )


async def _signing_keys(db: Database, settings: Settings) -> list[StoredKey]:
    """Those of the database, newest first; made here when this is the first start."""

    async def work(tx: Transaction) -> list[StoredKey]:
        if known := await signing_keys.load_keys(tx):
            return known
        key = keys.generate(settings.key_encryption_key.get_secret_value())
        await signing_keys.insert_key(tx, key, now=db.clock.now())
        return [key]

    return await db.run(work)


def _issuer(settings: Settings, stored: StoredKey) -> Issuer:
    try:
        key = keys.open_private(stored, settings.key_encryption_key.get_secret_value())
    except keys.CannotOpen as error:
        raise SettingsError(f"ORDERHUB_AUTH_KEY_ENCRYPTION_KEY: {error}") from error
    return Issuer(key, stored.kid, settings.public_url, settings.audience, settings.access_lifetime)


async def _prune(db: Database) -> bool:
    """Sessions and codes that ended; true when there may be more."""
    now = db.clock.now()
    pruned = await db.run(lambda tx: sessions.prune_sessions(tx, before=now))
    metrics.SESSIONS_PRUNED.inc(pruned)
    return pruned + await db.run(lambda tx: codes.prune_codes(tx, before=now)) > 0
