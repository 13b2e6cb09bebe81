"""Tells clients that somebody logged out (OpenID Connect Back-Channel Logout 1.0)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import aiohttp
from orderhub_chassis.db import Database
from orderhub_chassis.telemetry import log

from orderhub_auth import metrics
from orderhub_auth.keyring import KeyRing
from orderhub_auth.store import notices
from orderhub_auth.store.notices import Notice

EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
LIFETIME: Final = timedelta(minutes=2)
"""Section 2.4 wants it short."""
LONGEST_WAIT: Final = 5.0
LEASE: Final = timedelta(seconds=30)
AT_ONCE: Final = 20
ATTEMPTS: Final = 8
FIRST_PAUSE: Final = timedelta(seconds=2)
GOOD: Final = frozenset({200, 204})


def session() -> aiohttp.ClientSession:
    """Follows no redirect, keeps no cookie, and asks no proxy of the environment."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=LONGEST_WAIT), cookie_jar=aiohttp.DummyCookieJar()
    )


@dataclass(frozen=True, slots=True)
class Telling:
    """A notice is repeated with growing pauses, about four minutes in all; then its client has to do without."""

    db: Database
    http: aiohttp.ClientSession
    ring: KeyRing
    issuer: str

    async def tell(self) -> bool:
        """One round; true when there may be more to do at once."""
        now = self.db.clock.now()
        due = await notices.lease(self.db, now=now, until=now + LEASE, limit=AT_ONCE)
        await asyncio.gather(*(self._tell(one) for one in due))
        return len(due) == AT_ONCE

    async def _tell(self, notice: Notice) -> None:
        reason = await self._posted(notice)
        if not reason:
            metrics.LOGOUT_NOTICES.labels("heard").inc()
            await notices.done(self.db, notice.id)
            return
        words = {"client": str(notice.client_id), "reason": reason, "attempts": notice.attempts}
        if notice.attempts >= ATTEMPTS:
            metrics.LOGOUT_NOTICES.labels("given_up").inc()
            log("auth").error("logout_notice.given_up", **words)
            await notices.done(self.db, notice.id)
            return
        metrics.LOGOUT_NOTICES.labels("failed").inc()
        log("auth").warning("logout_notice.failed", **words)
        pause = FIRST_PAUSE * 2 ** (notice.attempts - 1)
        await notices.put_off(self.db, notice.id, self.db.clock.now() + pause)

    async def _posted(self, notice: Notice) -> str:
        """Why the client did not take it; "" where it did (section 2.8)."""
        try:
            form = {"logout_token": self.logout_token(notice)}
            async with self.http.post(notice.uri, data=form, allow_redirects=False) as answer:
                return "" if answer.status in GOOD else f"it answered {answer.status}"
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return f"it cannot be reached: {type(error).__name__}"

    def logout_token(self, notice: Notice) -> str:
        """Section 2.4: no nonce, so that nobody takes it for an ID token."""
        now = self.db.clock.now()
        issued = int(now.timestamp())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": str(notice.user_id),
            "aud": str(notice.client_id),
            "iat": issued,
            "exp": issued + int(LIFETIME.total_seconds()),
            "jti": str(self.db.new_id()),
            "sid": str(notice.login_id),
            "events": {EVENT: {}},
        }
        return self.ring.sign(notice.alg, claims, typ="logout+jwt", now=now)
