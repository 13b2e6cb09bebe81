"""Sessions and their tokens. Whoever gets a token gets it here, behind one gate."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from orderhub_chassis.db import Database, Transaction

from orderhub_auth import model, tokens
from orderhub_auth.model import Authentication, Client, Exchange, Use, User
from orderhub_auth.store import sessions, users
from orderhub_auth.tokens import Issuer


@dataclass(frozen=True, slots=True)
class Granted:
    """What a login or a refresh gives; no refresh token where there is nothing to refresh."""

    user: User
    session_id: UUID
    access_token: str
    refresh_token: str


@dataclass(frozen=True, slots=True)
class Issuing:
    """`refresh_lifetime` is how long a session lives after its last refresh, `refresh_grace` how long a spent refresh
    token is taken for a concurrent refresh."""

    db: Database
    issuer: Issuer
    refresh_lifetime: timedelta
    refresh_grace: timedelta

    async def open_session(
        self,
        tx: Transaction,
        user: User,
        client: Client,
        *,
        amr: tuple[str, ...] = model.PASSWORD,
        authenticated_at: datetime | None = None,
        use: Use = model.OWN_USE,
        refreshable: bool = True,
    ) -> Granted:
        """`authenticated_at` is now where it is not given. What cannot be refreshed ends with its access token.

        Raises what `grant` raises.
        """
        now, session_id = self.db.clock.now(), self.db.new_id()
        how = Authentication(amr, authenticated_at or now)
        until = now + (self.refresh_lifetime if refreshable else self.issuer.lifetime)
        await sessions.insert_session(tx, session_id, user.id, client, how, use, now=now, until=until)
        return await self.grant(tx, user, session_id, how, use, refreshable=refreshable)

    async def grant(
        self,
        tx: Transaction,
        user: User,
        session_id: UUID,
        how: Authentication,
        use: Use = model.OWN_USE,
        *,
        refreshable: bool = True,
    ) -> Granted:
        """The tokens of a session. Raises what `model.check_can_issue` and `model.check_factors` raise."""
        now = self.db.clock.now()
        model.check_can_issue(user, now=now)
        model.check_factors(user, how.amr)
        refresh_token = tokens.new_refresh_token() if refreshable else ""
        if refresh_token:
            await sessions.insert_refresh_token(tx, tokens.hash_of(refresh_token), session_id, now=now)
        access_token = self.issuer.access_token(user, session_id, how, use, jti=self.db.new_id(), now=now)
        return Granted(user, session_id, access_token, refresh_token)

    async def refresh(
        self,
        tx: Transaction,
        hash: bytes,
        client: Client,
        client_id: UUID | None = None,
        *,
        scopes: tuple[str, ...] | None = None,
    ) -> Granted | None:
        """Rotate. None for a token that is worth nothing to this client; one that was copied ends its session.

        `scopes` narrow this access token alone (RFC 6749, section 6). Raises what `grant` raises.
        """
        now, presented = self.db.clock.now(), await sessions.load_presented(tx, hash)
        verdict = model.judge_refresh(presented, client_id=client_id, now=now, grace=self.refresh_grace)
        if presented is None or verdict is Exchange.REFUSE:
            return None
        if verdict is Exchange.REVOKE_SESSION:
            await sessions.revoke_session(tx, presented.session_id, "refresh token reused", now=now)
            return None
        use = replace(presented.use, scopes=scopes or presented.use.scopes)
        user = await users.load_user(tx, presented.user_id)
        until = now + self.refresh_lifetime
        await sessions.spend(tx, hash, presented.session_id, client, now=now, until=until)
        return await self.grant(tx, user, presented.session_id, presented.authentication, use)

    def for_client(
        self, client_id: UUID, scopes: Collection[str], roles: Collection[str], vendor_id: str
    ) -> str:
        """The access token of a client that acts as itself; the caller has made sure that it may."""
        jti, now = self.db.new_id(), self.db.clock.now()
        return self.issuer.client_token(client_id, scopes, roles, vendor_id, jti=jti, now=now)
