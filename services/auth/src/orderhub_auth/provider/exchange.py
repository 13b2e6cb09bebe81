"""The token endpoint: what clients get for a code, a refresh token, a device's code, or for themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from orderhub_chassis.db import Database, Transaction
from orderhub_chassis.errors import Forbidden

from orderhub_auth import tokens
from orderhub_auth.errors import SecondFactorMissing
from orderhub_auth.issuing import Granted, Issuing
from orderhub_auth.model import API, Authentication, Client, Use
from orderhub_auth.provider import model, store
from orderhub_auth.provider.answers import Answers, Context
from orderhub_auth.provider.authentication import ClientDoor
from orderhub_auth.provider.errors import OAuthError, invalid_grant, invalid_request
from orderhub_auth.provider.model import Parameters, RelyingParty
from orderhub_auth.provider.store import Code, Device
from orderhub_auth.store import browsers, sessions, users

SLOWER: Final = 5
"""Seconds more between two polls, for a device that did not wait (RFC 8628, section 3.5)."""


@dataclass(frozen=True, slots=True)
class Exchange:
    db: Database
    door: ClientDoor
    issuing: Issuing
    answers: Answers

    async def token(self, parameters: Parameters, authorization: str, client: Client) -> dict[str, Any]:
        """Raises OAuthError."""
        party, given = await self.door.admit(parameters, authorization)
        grant = given.get("grant_type", "")
        if grant not in model.GRANTS:
            raise OAuthError("unsupported_grant_type", f"grant_type must be one of {', '.join(model.GRANTS)}")
        if grant not in party.grant_types:
            raise OAuthError("unauthorized_client", f"this client is not registered for {grant}")
        if grant == model.CREDENTIALS:
            return self._itself(party, given)
        if grant == model.CODE:
            return await self._for_code(party, given, client)
        if grant == model.REFRESH:
            return await self._for_refresh(party, given, client)
        return await self._for_device(party, given, client)

    def _itself(self, party: RelyingParty, given: dict[str, str]) -> dict[str, Any]:
        """RFC 6749, section 4.4: no user, no session, no refresh token."""
        own = tuple(scope for scope in party.scopes if scope == API)
        scopes = tuple(given["scope"].split()) if "scope" in given else own
        if not scopes or not set(scopes) <= set(own):
            raise OAuthError("invalid_scope", f"scope must be {API}, if this client is registered for it")
        roles, vendor_id = party.roles, str(party.vendor_id or "")
        token = self.issuing.for_client(party.id, scopes, roles, vendor_id)
        return {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": int(self.issuing.issuer.lifetime.total_seconds()),
            "scope": " ".join(scopes),
        }

    async def _for_code(self, party: RelyingParty, given: dict[str, str], client: Client) -> dict[str, Any]:
        secret = _needed(given, "code")

        async def work(tx: Transaction) -> dict[str, Any] | OAuthError:
            code, now = await store.load_code(tx, tokens.hash_of(secret)), self.db.clock.now()
            if code is None or code.client_id != party.id:
                return invalid_grant("the code is unknown, or another client's")
            if code.spent_at is not None:
                await self._end(tx, code.session_id, "authorization code used again", now)
                return invalid_grant("the code was used before")
            if refusal := _fits(code, given, now):
                return refusal
            assert code.how is not None
            use = Use(party.id, code.login_id, code.scopes, code.userinfo_claims)
            granted = await self._open(tx, party, code.user_id, client, code.how, use)
            await store.spend_code(tx, code.hash, granted.session_id, now=now)
            context = Context(code.login_id, code.how, code.nonce, code.id_token_claims)
            return self.answers.tokens(party, granted, code.scopes, context)

        return await self._run(work)

    async def _for_refresh(
        self, party: RelyingParty, given: dict[str, str], client: Client
    ) -> dict[str, Any]:
        hash, asked = tokens.hash_of(_needed(given, "refresh_token")), given.get("scope", "").split()

        async def work(tx: Transaction) -> dict[str, Any] | OAuthError:
            presented = await sessions.load_presented(tx, hash)
            if presented is not None and not set(asked) <= set(presented.use.scopes):
                return OAuthError("invalid_scope", "scope is more than was granted")
            scopes = tuple(asked) or None
            granted = await self.issuing.refresh(tx, hash, client, party.id, scopes=scopes)
            if granted is None or presented is None:
                return invalid_grant("the refresh token is not valid any more, or another client's")
            context = Context(presented.use.parent_id, presented.authentication)
            return self.answers.tokens(party, granted, scopes or presented.use.scopes, context)

        return await self._run(work)

    async def _for_device(self, party: RelyingParty, given: dict[str, str], client: Client) -> dict[str, Any]:
        """RFC 8628, section 3.4. Whether the user may have tokens is asked now, not when it allowed the device."""
        hash = tokens.hash_of(_needed(given, "device_code"))

        async def work(tx: Transaction) -> dict[str, Any] | OAuthError:
            device, now = await store.load_device(tx, hash=hash), self.db.clock.now()
            if device is None or device.client_id != party.id:
                return invalid_grant("the device code is unknown, or another client's")
            polled, refusal = after_poll(device, now)
            if refusal is not None:
                await store.save_device(tx, polled)
                return refusal
            login = await browsers.load_live(tx, device.login_id, now=now) if device.login_id else None
            if login is None:
                return invalid_grant("the person who allowed this device is logged out")
            use = Use(party.id, login.id, device.scopes)
            granted = await self._open(tx, party, login.user_id, client, login.how, use)
            await store.save_device(tx, polled)
            return self.answers.tokens(party, granted, device.scopes, Context(login.id, login.how))

        return await self._run(work)

    async def _open(
        self,
        tx: Transaction,
        party: RelyingParty,
        user_id: UUID,
        client: Client,
        how: Authentication,
        use: Use,
    ) -> Granted:
        user = await users.load_user(tx, user_id)
        refreshable = model.REFRESH in party.grant_types
        return await self.issuing.open_session(
            tx, user, client, amr=how.amr, authenticated_at=how.at, use=use, refreshable=refreshable
        )

    async def _end(self, tx: Transaction, session_id: UUID | None, reason: str, now: datetime) -> None:
        if session_id:
            await sessions.revoke_session(tx, session_id, reason, now=now)

    async def _run(self, work: Any) -> dict[str, Any]:
        """What a refusal leaves behind (a session that ended, a poll that was counted) is committed before it is raised."""
        try:
            done: dict[str, Any] | OAuthError = await self.db.run(work)
        except (Forbidden, SecondFactorMissing) as error:
            # The one gate: the user is disabled or locked, or has a second factor since this login.
            raise invalid_grant(error.detail) from error
        if isinstance(done, OAuthError):
            raise done
        return done


def _needed(given: dict[str, str], name: str) -> str:
    if name not in given:
        raise invalid_request(f"{name} is missing")
    return given[name]


def _fits(code: Code, given: dict[str, str], now: datetime) -> OAuthError | None:
    """RFC 6749, section 4.1.3, and RFC 7636, section 4.6."""
    if code.expires_at <= now or code.login_ended:
        return invalid_grant("the code has expired")
    if given.get("redirect_uri") != code.redirect_uri:
        return invalid_grant("redirect_uri is not the one that the code was sent to")
    if not model.verifier_fits(given.get("code_verifier", ""), code.challenge):
        return invalid_grant("code_verifier does not fit the code_challenge")
    return None


def after_poll(device: Device, now: datetime) -> tuple[Device, OAuthError | None]:
    """RFC 8628, section 3.5: the device after this poll, and what it is told, None where it gets its tokens."""
    if device.expires_at <= now:
        return device, OAuthError("expired_token", "the device code has expired")
    if device.state == "spent":
        return device, invalid_grant("the device code was used before")
    too_soon = device.polled_at is not None and now - device.polled_at < timedelta(
        seconds=device.interval_seconds
    )
    polled = replace(device, polled_at=now)
    if device.state == "denied":
        return polled, OAuthError("access_denied", "the person did not allow this device")
    if too_soon:
        slower = replace(polled, interval_seconds=device.interval_seconds + SLOWER)
        return slower, OAuthError("slow_down", f"wait {slower.interval_seconds} seconds between two polls")
    if device.state == "pending":
        return polled, OAuthError("authorization_pending", "the person has not decided yet")
    return replace(polled, state="spent"), None
