"""What a browser does on the way to an authorization code: ask, log in, consent (OpenID Connect Core 1.0, section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from orderhub_chassis.db import Database, Transaction

from orderhub_auth import queries, tokens
from orderhub_auth.model import can_come_in
from orderhub_auth.provider import interactions, model, store
from orderhub_auth.provider.errors import PageError, RedirectError
from orderhub_auth.provider.hints import Hints
from orderhub_auth.provider.interactions import Parameters
from orderhub_auth.provider.model import AuthorizationRequest, Login, RelyingParty, Step
from orderhub_auth.provider.signing_in import SigningIn
from orderhub_auth.provider.store import Code, Interaction
from orderhub_auth.provider.turns import Browser, Page, Turn, back_to

CODE_LIFETIME: Final = timedelta(seconds=60)
"""RFC 6749, section 4.1.2 allows ten minutes; a client that is there exchanges it at once."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request whose client and redirect URI are good. `secret` is of the form that was shown for it, if one was."""

    client: RelyingParty
    redirect_uri: str
    parameters: Parameters
    began_at: datetime
    secret: str = ""
    decided: bool = False


@dataclass(frozen=True, slots=True)
class Browsing:
    """`issuer` is who we are in the answers (RFC 9207)."""

    db: Database
    signing_in: SigningIn
    hints: Hints
    issuer: str

    async def authorize(self, parameters: Parameters, browser: Browser) -> Turn:
        """A request as it arrives at the authorization endpoint."""
        try:
            asked = await self._asked(parameters, self.db.clock.now())
        except PageError as error:
            return Turn(Page("error", notice=error.notice, detail=error.detail))
        return await self._answered(asked, browser)

    async def sign_in(self, interaction: str, email: str, password: str, code: str, browser: Browser) -> Turn:
        """The form of the login page, or of the second factor's. Raises ForeignInteraction."""
        done = await self.signing_in.try_in(interaction, email, password, code, browser)
        if isinstance(done, Turn):
            return done
        return await self.go_on(done.interaction, interaction, replace(browser, cookie=done.cookie))

    async def go_on(self, row: Interaction, secret: str, browser: Browser) -> Turn:
        """After a login; the browser's cookie is the one that it made."""
        if row.kind == "device":
            page = Page("device", secret, user_code=model.one_value(row.parameters, "user_code"))
            return Turn(page, browser.cookie)
        try:
            asked = await self._asked(row.parameters, row.created_at)
        except PageError as error:
            return Turn(Page("error", notice=error.notice, detail=error.detail), browser.cookie)
        turn = await self._answered(replace(asked, secret=secret), browser)
        return replace(turn, cookie=browser.cookie)

    async def decide_consent(self, interaction: str, allowed: bool, browser: Browser) -> Turn:
        """The form of the consent page. Raises ForeignInteraction."""

        async def work(tx: Transaction) -> Interaction:
            return await interactions.load(tx, interaction, browser, "authorize", now=self.db.clock.now())

        row = await self.db.run(work)
        try:
            asked = await self._asked(row.parameters, row.created_at)
        except PageError as error:
            return Turn(Page("error", notice=error.notice, detail=error.detail))
        asked = replace(asked, secret=interaction, decided=allowed)
        if allowed:
            return await self._answered(asked, browser)
        await self.db.run(lambda tx: store.delete_interaction(tx, tokens.hash_of(interaction)))
        return self._refused(asked, RedirectError("access_denied", "the person did not allow it"))

    async def _asked(self, parameters: Parameters, began_at: datetime) -> _Asked:
        """Raises PageError."""
        try:
            id = UUID(model.one_value(parameters, "client_id"))
        except ValueError:
            raise PageError("client_unknown", "the request names no client that is registered here") from None
        client = await store.client(self.db, id)
        if client is None or client.disabled:
            raise PageError("client_unknown", "the request names no client that is registered here")
        return _Asked(client, model.redirect_uri_of(parameters, client), parameters, began_at)

    async def _answered(self, asked: _Asked, browser: Browser) -> Turn:
        try:
            request = model.authorization_request(asked.parameters, asked.client, asked.redirect_uri)
            subject = self.hints.subject_of(asked.parameters, asked.client) or request.claims.subject
            login = await self._login(browser)
            step = await self._step(asked, request, login, subject)
        except RedirectError as error:
            return self._refused(asked, error)
        if step is Step.ISSUE and login is not None:
            return await self._issue(asked, request, login)
        page = Page(step, asked.secret, asked.client.name, request.scopes, email=request.login_hint)
        if asked.secret:
            return Turn(page)
        return await interactions.begin(self.db, "authorize", asked.parameters, browser, page)

    async def _login(self, browser: Browser) -> Login | None:
        """Of a user who may have tokens; any other has to log in, where it is told why it cannot."""
        if not browser.cookie:
            return None
        login = await store.login(self.db, tokens.hash_of(browser.cookie))
        user = await queries.user_by_id(self.db, login.user_id) if login else None
        good = user is not None and can_come_in(user, now=self.db.clock.now())
        return login if good else None

    async def _step(
        self, asked: _Asked, request: AuthorizationRequest, login: Login | None, subject: str
    ) -> Step:
        """Raises RedirectError."""
        known = await store.consented(self.db, login.user_id, asked.client.id) if login else frozenset()
        return model.next_step(
            request, asked.client, login,
            subject=subject, consented=known, decided=asked.decided,
            began_at=asked.began_at, now=self.db.clock.now(),
        )  # fmt: skip

    async def _issue(self, asked: _Asked, request: AuthorizationRequest, login: Login) -> Turn:
        secret, now = tokens.new_code(), self.db.clock.now()
        code = Code(
            tokens.hash_of(secret), asked.client.id, login.user_id, login.id, asked.redirect_uri, request.scopes,
            request.nonce, request.challenge, request.claims.userinfo, request.claims.id_token, now + CODE_LIFETIME,
        )  # fmt: skip

        async def work(tx: Transaction) -> None:
            await store.insert_code(tx, code, now=now)
            if asked.decided:
                await store.add_consent(tx, login.user_id, asked.client.id, request.scopes, now=now)
            if asked.secret:
                await store.delete_interaction(tx, tokens.hash_of(asked.secret))

        await self.db.run(work)
        fields = {"code": secret, "state": request.state, "iss": self.issuer}
        return back_to(asked.redirect_uri, fields, post=request.post)

    def _refused(self, asked: _Asked, error: RedirectError) -> Turn:
        fields = {
            "error": error.error,
            "error_description": error.description,
            "state": model.one_value(asked.parameters, "state"),
            "iss": self.issuer,
        }
        return back_to(asked.redirect_uri, fields, post=model.wants_post(asked.parameters))
