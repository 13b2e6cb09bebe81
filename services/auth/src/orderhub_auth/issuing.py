"""Sessions and their tokens. Whoever gets a token gets it here, behind one gate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from orderhub_chassis.db import Database, Transaction

from orderhub_auth import model, tokens
from orderhub_auth.model import Authentication, Client, User
from orderhub_auth.store import sessions
from orderhub_auth.tokens import Issuer


@dataclass(frozen=True, slots=True)
class Granted:
    """What a login or a refresh gives."""

    user: User
    access_token: str
    refresh_token: str


@dataclass(frozen=True, slots=True)
class Issuing:
    """`refresh_lifetime` is how long a session lives after its last refresh."""

    db: Database
    issuer: Issuer
    refresh_lifetime: timedelta

    async def open_session(
        self,
        tx: Transaction,
        user: User,
        client: Client,
        *,
        amr: tuple[str, ...] = model.PASSWORD,
        authenticated_at: datetime | None = None,
    ) -> Granted:
        """`authenticated_at` is now where it is not given. Raises what `model.check_can_issue` raises."""
        now, session_id = self.db.clock.now(), self.db.new_id()
        how, until = Authentication(amr, authenticated_at or now), now + self.refresh_lifetime
        await sessions.insert_session(tx, session_id, user.id, client, how, now=now, until=until)
        return await self.grant(tx, user, session_id, how)

    async def grant(self, tx: Transaction, user: User, session_id: UUID, how: Authentication) -> Granted:
        """The tokens of a session. Raises what `model.check_can_issue` raises."""
        model.check_can_issue(user)
        now, refresh_token = self.db.clock.now(), tokens.new_refresh_token()
        await sessions.insert_refresh_token(tx, tokens.hash_of(refresh_token), session_id, now=now)
        access_token = self.issuer.access_token(user, session_id, how, jti=self.db.new_id(), now=now)
        return Granted(user, access_token, refresh_token)
