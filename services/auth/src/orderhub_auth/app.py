"""Opens, wires and closes auth; the only room that knows all the others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import timedelta

from orderhub_chassis.db import Database
from orderhub_chassis.grpc.server import Register
from orderhub_chassis.service import Chassis, Surroundings, open_chassis
from orderhub_chassis.settings import SettingsError
from orderhub_contracts.auth.v1 import (
    api_keys_pb2,
    api_keys_pb2_grpc,
    auth_pb2,
    auth_pb2_grpc,
    keys_pb2,
    keys_pb2_grpc,
    mfa_pb2,
    mfa_pb2_grpc,
    oidc_pb2,
    oidc_pb2_grpc,
    profile_pb2,
    profile_pb2_grpc,
)
from orderhub_contracts.topics import AUTH_EVENTS

from orderhub_auth import mailbox, publisher, rotation
from orderhub_auth.accounts import Accounts
from orderhub_auth.api.accounts import AuthServicer
from orderhub_auth.api.api_keys import ApiKeyServicer
from orderhub_auth.api.clients import ClientServicer
from orderhub_auth.api.keys import KeyServicer
from orderhub_auth.api.mfa import MfaServicer
from orderhub_auth.api.profiles import ProfileServicer
from orderhub_auth.api.provider import OidcServicer, Provider
from orderhub_auth.api_keys.uses import ApiKeys
from orderhub_auth.backoff import Policies
from orderhub_auth.cleanup import Cleanup
from orderhub_auth.guarding import Guard
from orderhub_auth.issuing import Issuing
from orderhub_auth.keyring import KeyRing
from orderhub_auth.keys import CannotOpen, Seal
from orderhub_auth.mfa import PURPOSE, SecondFactors
from orderhub_auth.model import Purpose
from orderhub_auth.passwords import Passwords
from orderhub_auth.provider import telling
from orderhub_auth.provider.answers import Answers
from orderhub_auth.provider.authentication import ClientDoor
from orderhub_auth.provider.browsing import Browsing
from orderhub_auth.provider.devices import Devices
from orderhub_auth.provider.exchange import Exchange
from orderhub_auth.provider.hints import Hints
from orderhub_auth.provider.inspecting import Inspecting
from orderhub_auth.provider.leaving import Leaving
from orderhub_auth.provider.metadata import metadata
from orderhub_auth.provider.relying_parties import RelyingParties
from orderhub_auth.provider.signing_in import SigningIn
from orderhub_auth.recovery import Recovery
from orderhub_auth.registration import Registration
from orderhub_auth.rotation import Rotation
from orderhub_auth.schedule import Times
from orderhub_auth.sealing import Sealing
from orderhub_auth.settings import Settings
from orderhub_auth.step_up import StepUp
from orderhub_auth.store import notices, revocations
from orderhub_auth.tokens import Issuer

SERVICES = [
    auth_pb2.DESCRIPTOR.services_by_name["AuthService"].full_name,
    keys_pb2.DESCRIPTOR.services_by_name["KeyService"].full_name,
    profile_pb2.DESCRIPTOR.services_by_name["ProfileService"].full_name,
    mfa_pb2.DESCRIPTOR.services_by_name["MfaService"].full_name,
    oidc_pb2.DESCRIPTOR.services_by_name["OidcService"].full_name,
    oidc_pb2.DESCRIPTOR.services_by_name["ClientService"].full_name,
    api_keys_pb2.DESCRIPTOR.services_by_name["ApiKeyService"].full_name,
]
SEAL_EVERY = timedelta(minutes=10)
LOOK_EVERY = timedelta(minutes=1)
"""Whether it is time to clean up, which one replica then does for all."""
USED_KEYS_EVERY = timedelta(seconds=2)
MAIL_EVERY = timedelta(milliseconds=100)
"""After a look at the bus that has waited for mails by itself."""
TELL_EVERY = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Service:
    """The running auth service."""

    chassis: Chassis
    grpc_port: int
    keys: Rotation


@asynccontextmanager
async def build(settings: Settings, around: Surroundings) -> AsyncIterator[Service]:
    """Raises SettingsError when the signing keys were sealed with another key-encryption key."""
    async with open_chassis("auth", settings, around, package="orderhub_auth") as chassis:
        keys = _rotation(chassis.db, settings)
        await _first_keys(keys)
        issuer = Issuer(
            keys.ring,
            settings.public_url,
            settings.audience,
            settings.access_lifetime,
            settings.require_verified_email,
        )
        with closing(_passwords(settings)) as passwords:
            issuing = Issuing(chassis.db, issuer, settings.refresh_lifetime, settings.refresh_grace)
            guard = Guard(chassis.db, passwords, _policies(settings))
            uses = Accounts(chassis.db, passwords, issuing, guard)
            recovery = Recovery(chassis.db, passwords, guard, _lifetimes(settings))
            registration = Registration(chassis.db, passwords, recovery)
            servicer = AuthServicer(
                uses, registration, recovery, chassis.cursors, keys.ring, settings.jwks_max_age
            )
            await chassis.every(settings.key_reload, "keys", keys.look, wake=rotation.HINT)
            factors = SecondFactors(chassis.db, guard, _sealing(settings))
            cleanup = Cleanup(chassis.db, settings.refresh_lifetime)
            await chassis.every(LOOK_EVERY, "cleanup", cleanup.if_due)
            await chassis.every(SEAL_EVERY, "sealing", factors.seal_again)
            await _publish(chassis, settings)
            profiles = ProfileServicer(chassis.db)
            mfa = MfaServicer(factors, StepUp(chassis.db, issuing, factors))
            operated = KeyServicer(keys)
            oidc = OidcServicer(await _provider(chassis, settings, keys.ring, uses, factors))
            clients = ClientServicer(RelyingParties(chassis.db), chassis.cursors)
            api_keys = ApiKeys(chassis.db, settings.api_key_longest, settings.api_keys_per_vendor)
            await chassis.every(USED_KEYS_EVERY, "api-keys", api_keys.write_used)
            keyed = ApiKeyServicer(api_keys, chassis.cursors)
            registrations: list[Register] = [
                lambda server: auth_pb2_grpc.add_AuthServiceServicer_to_server(servicer, server),
                lambda server: keys_pb2_grpc.add_KeyServiceServicer_to_server(operated, server),
                lambda server: profile_pb2_grpc.add_ProfileServiceServicer_to_server(profiles, server),
                lambda server: mfa_pb2_grpc.add_MfaServiceServicer_to_server(mfa, server),
                lambda server: oidc_pb2_grpc.add_OidcServiceServicer_to_server(oidc, server),
                lambda server: oidc_pb2_grpc.add_ClientServiceServicer_to_server(clients, server),
                lambda server: api_keys_pb2_grpc.add_ApiKeyServiceServicer_to_server(keyed, server),
            ]
            await _open_mailbox(chassis, settings)
            port = await chassis.serve_grpc(registrations, SERVICES)
            chassis.readiness.opened = True
            yield Service(chassis, port, keys)


async def _publish(chassis: Chassis, settings: Settings) -> None:
    redis_url = settings.redis_url.get_secret_value()
    taking = await chassis.enter(publisher.opened(chassis.db, redis_url, settings.public_url))
    await chassis.every(publisher.EVERY, "revocations", taking.work, wake=revocations.HINT)


async def _provider(
    chassis: Chassis, settings: Settings, ring: KeyRing, uses: Accounts, factors: SecondFactors
) -> Provider:
    """The OpenID Provider; from here on clients are told of logouts."""
    db, issuer = chassis.db, settings.public_url
    door = ClientDoor(db, frozenset({issuer, f"{issuer}/oauth2/token"}))
    hints = Hints(ring, issuer)
    answers = Answers(ring, issuer, settings.access_lifetime, chassis.clock)
    signing_in = SigningIn(db, uses, factors, settings.browser_lifetime)
    logouts = telling.Telling(db, await chassis.enter(telling.session()), ring, issuer)
    await chassis.every(TELL_EVERY, "logout-notices", logouts.tell, wake=notices.HINT)
    return Provider(
        Browsing(db, signing_in, hints, issuer),
        Leaving(db, hints),
        Devices(db, door, f"{issuer}/oauth2/device"),
        Exchange(db, door, uses.issuing, answers),
        Inspecting(db, door, ring, issuer, settings.audience),
        metadata(issuer),
    )


async def _open_mailbox(chassis: Chassis, settings: Settings) -> None:
    """In a demo alone."""
    if settings.mailbox is not None:
        consumer = await chassis.enter(chassis.bus.consumer(mailbox.GROUP, [AUTH_EVENTS], settings.instance))
        box = mailbox.Mailbox(settings.mailbox, consumer, chassis.db, settings.public_url)
        await chassis.every(MAIL_EVERY, "mailbox", box.deliver)


def _lifetimes(settings: Settings) -> dict[Purpose, timedelta]:
    return {
        Purpose.PASSWORD_RESET: settings.reset_lifetime,
        Purpose.EMAIL_VERIFICATION: settings.verification_lifetime,
    }


def _policies(settings: Settings) -> Policies:
    return Policies.of(
        settings.wrong_passwords_per_place,
        settings.wrong_passwords_per_account,
        settings.wrong_passwords_per_address,
    )


def _passwords(settings: Settings) -> Passwords:
    return Passwords(
        memory_kib=settings.argon2_memory_kib,
        passes=settings.argon2_passes,
        threads=settings.password_threads,
        queue=settings.password_queue,
    )


def _rotation(db: Database, settings: Settings) -> Rotation:
    seal = Seal(*_secrets(settings))
    times = Times.of(
        longest_token=settings.longest_token,
        max_age=settings.jwks_max_age,
        margin=settings.key_margin,
        period=settings.key_rotation,
    )
    return Rotation(db, KeyRing(db, seal, times, settings.longest_token), seal)


async def _first_keys(keys: Rotation) -> None:
    try:
        await keys.start()
    except CannotOpen as error:
        raise SettingsError(
            f"ORDERHUB_AUTH_KEY_ENCRYPTION_KEY: {error}; one that was changed goes to"
            " ORDERHUB_AUTH_FORMER_KEY_ENCRYPTION_KEYS"
        ) from error


def _sealing(settings: Settings) -> Sealing:
    return Sealing(PURPOSE, *_secrets(settings))


def _secrets(settings: Settings) -> tuple[str, list[str]]:
    """The one that seals, and those that still open."""
    former = [one.get_secret_value() for one in settings.former_key_encryption_keys]
    return settings.key_encryption_key.get_secret_value(), former
