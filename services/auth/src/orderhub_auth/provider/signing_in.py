"""A login on a page: the password, then the second factor where there is one, then a new cookie for the browser."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from orderhub_chassis.db import Database, Transaction
from orderhub_chassis.errors import Failure, Kind

from orderhub_auth import model, queries, tokens
from orderhub_auth.accounts import Accounts
from orderhub_auth.errors import WrongCredentials
from orderhub_auth.mfa import SecondFactors
from orderhub_auth.model import Authentication, Use, User
from orderhub_auth.provider import interactions, store
from orderhub_auth.provider.errors import ForeignInteraction
from orderhub_auth.provider.store import Interaction
from orderhub_auth.provider.turns import Browser, Page, Turn
from orderhub_auth.store import browsers, sessions, users

BROWSER_SCOPES = ("browser",)
"""Of a browser's own session: no token is made of it."""
MISSES = 5
"""Wrong codes until the password is asked for again."""
NOTICES = {
    Kind.RATE_LIMITED: "slow",
    Kind.FORBIDDEN: "disabled",
    Kind.UNAUTHENTICATED: "wrong",
    Kind.INVALID: "wrong",
}


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Where the browser goes on, and its new cookie."""

    interaction: Interaction
    cookie: str


@dataclass(frozen=True, slots=True)
class SigningIn:
    """`lifetime` is how long a browser stays logged in."""

    db: Database
    accounts: Accounts
    factors: SecondFactors
    lifetime: timedelta

    async def try_in(
        self, secret: str, email: str, password: str, code: str, browser: Browser
    ) -> SignedIn | Turn:
        """A Turn where a form has to be filled in (again). Raises ForeignInteraction."""
        row = await self._row(secret, browser)
        second = row.user_id is not None and not email
        page = Page("second_factor", secret) if second else Page("login", secret, email=email)
        try:
            if second:
                return await self._second_step(row, code, browser)
            return await self._first_step(row, secret, email, password, browser)
        except Failure as failure:
            if isinstance(failure, ForeignInteraction) or failure.kind not in NOTICES:
                raise
            return Turn(replace(page, notice=NOTICES[failure.kind], retry_after=failure.retry_after or 0))

    async def _first_step(
        self, row: Interaction, secret: str, email: str, password: str, browser: Browser
    ) -> SignedIn | Turn:
        user = await self.accounts.check_password(email, password, browser.client)
        model.check_can_issue(user, now=self.db.clock.now())
        if not model.second_factor_needed(user):
            return await self._signed_in(row, user, model.PASSWORD, browser)
        digest = tokens.hash_of(user.password_hash)
        half = replace(row, user_id=user.id, password_digest=digest, misses=0)
        await self.db.run(lambda tx: store.save_interaction(tx, half))
        return Turn(Page("second_factor", secret))

    async def _second_step(self, row: Interaction, code: str, browser: Browser) -> SignedIn:
        """What a wrong code leaves behind is committed before it is raised."""
        user = await queries.user_by_id(self.db, row.user_id) if row.user_id else None
        if user is None or tokens.hash_of(user.password_hash) != row.password_digest:
            raise ForeignInteraction

        async def work(tx: Transaction) -> Failure | None:
            # Locked, so that guesses at the same time are counted one by one.
            now = await store.load_interaction(tx, row.secret_hash)
            if now is None or now.misses >= MISSES:
                return ForeignInteraction()
            refused = await self.factors.check(tx, user, code)
            if refused is not None:
                await store.save_interaction(tx, replace(now, misses=now.misses + 1))
            return refused

        if refused := await self.db.run(work):
            raise refused
        return await self._signed_in(row, user, model.TWO_FACTORS, browser)

    async def _row(self, secret: str, browser: Browser) -> Interaction:
        async def work(tx: Transaction) -> Interaction:
            now = self.db.clock.now()
            return await interactions.load(tx, secret, browser, "authorize", "device", now=now)

        return await self.db.run(work)

    async def _signed_in(
        self, row: Interaction, found: User, amr: tuple[str, ...], browser: Browser
    ) -> SignedIn:
        """The cookie is a new one, so that one which somebody planted before is worth nothing (session fixation).

        Who logs in again as the same user goes on in the same session: clients know it by its id.
        """
        cookie = interactions.new_secret()
        how = Authentication(amr, self.db.clock.now())

        async def work(tx: Transaction) -> Interaction:
            user = await users.load_user(tx, found.id)
            if user.password_hash != found.password_hash:
                raise WrongCredentials
            model.check_can_issue(user, now=how.at)
            model.check_factors(user, amr)
            await self._log_in(tx, user.id, how, cookie, browser)
            moved = replace(row, cookie_hash=tokens.hash_of(cookie), user_id=None, password_digest=None)
            await store.save_interaction(tx, moved)
            return moved

        return SignedIn(await self.db.run(work), cookie)

    async def _log_in(
        self, tx: Transaction, user_id: UUID, how: Authentication, cookie: str, browser: Browser
    ) -> None:
        now, hash = how.at, tokens.hash_of(cookie)
        known = await browsers.load_browser(tx, tokens.hash_of(browser.cookie), now=now)
        until = now + self.lifetime
        if known is not None and known.user_id == user_id:
            await browsers.log_in_again(tx, known.id, hash, how, until=until)
            return
        if known is not None:
            await sessions.revoke_session(tx, known.id, "another user logged in", now=now)
        use = Use(scopes=BROWSER_SCOPES, cookie_hash=hash)
        await sessions.insert_session(
            tx, self.db.new_id(), user_id, browser.client, how, use, now=now, until=until
        )
