"""Logging out at a client's wish (OpenID Connect RP-Initiated Logout 1.0).

Only the browser's own login ends, and only at once where the client shows an ID token of this very login; whatever else
arrives is asked on a page, so that no link can log anybody out.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from orderhub_chassis.db import Database, Transaction

from orderhub_auth import tokens
from orderhub_auth.provider import interactions, model, store
from orderhub_auth.provider.errors import PageError
from orderhub_auth.provider.hints import Hint, Hints
from orderhub_auth.provider.interactions import Parameters
from orderhub_auth.provider.model import Login, RelyingParty
from orderhub_auth.provider.store import Interaction
from orderhub_auth.provider.turns import Browser, Page, Turn, back_to
from orderhub_auth.store import sessions


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a good request wants. `hint` is the ID token that came with it."""

    party: RelyingParty | None
    hint: Hint | None
    redirect_uri: str
    state: str


@dataclass(frozen=True, slots=True)
class Leaving:
    db: Database
    hints: Hints

    async def end_session(self, parameters: Parameters, browser: Browser) -> Turn:
        """A request at the end session endpoint."""
        try:
            wish = await self._wish(parameters)
        except PageError as error:
            return Turn(Page("error", notice=error.notice, detail=error.detail))
        login = await self._login(browser)
        if login is None and (wish.hint or not wish.redirect_uri):
            return _left(wish)
        if login is not None and wish.hint is not None and wish.hint.login_id == str(login.id):
            await self.db.run(lambda tx: self._end(tx, login))
            return _left(wish)
        page = Page("logout", client_name=wish.party.name if wish.party else "")
        return await interactions.begin(self.db, "logout", parameters, browser, page)

    async def decide(self, interaction: str, leave: bool, browser: Browser) -> Turn:
        """The form of the page. Raises ForeignInteraction."""
        login = await self._login(browser)

        async def work(tx: Transaction) -> Interaction:
            now = self.db.clock.now()
            row = await interactions.load(tx, interaction, browser, "logout", now=now)
            await store.delete_interaction(tx, tokens.hash_of(interaction))
            if leave and login is not None:
                await self._end(tx, login)
            return row

        row = await self.db.run(work)
        if not leave:
            return Turn(Page("done", notice="stayed"))
        try:
            return _left(await self._wish(row.parameters))
        except PageError as error:
            return Turn(Page("error", notice=error.notice, detail=error.detail))

    async def _wish(self, parameters: Parameters) -> _Wish:
        """Raises PageError: then nothing ends and nobody is sent anywhere."""
        try:
            given = model.single(parameters)
        except ValueError as error:
            raise PageError("logout_invalid", f"{error} stands twice") from None
        hint = self.hints.read(given["id_token_hint"]) if "id_token_hint" in given else None
        if "id_token_hint" in given and hint is None:
            raise PageError("logout_hint_bad", "id_token_hint is no ID token of ours")
        client_id = given.get("client_id", hint.audience if hint else "")
        if hint and client_id != hint.audience:
            raise PageError("logout_hint_bad", "id_token_hint was made for another client")
        party = await self._party(client_id) if client_id else None
        uri = given.get("post_logout_redirect_uri", "")
        if uri and party is not None and uri not in party.post_logout_redirect_uris:
            words = "post_logout_redirect_uri is not one that this client has registered"
            raise PageError("logout_uri_unknown", words)
        # Without a client nobody knows whose URI it is: nobody is sent there (section 3).
        return _Wish(party, hint, uri if party else "", given.get("state", ""))

    async def _party(self, id: str) -> RelyingParty:
        try:
            party = await store.client(self.db, UUID(id))
        except ValueError:
            party = None
        if party is None or party.disabled:
            raise PageError("client_unknown", "the request names no client that is registered here")
        return party

    async def _login(self, browser: Browser) -> Login | None:
        return await store.login(self.db, tokens.hash_of(browser.cookie)) if browser.cookie else None

    async def _end(self, tx: Transaction, login: Login) -> None:
        await sessions.revoke_session(tx, login.id, "logout", now=self.db.clock.now())


def _left(wish: _Wish) -> Turn:
    if wish.redirect_uri:
        return back_to(wish.redirect_uri, {"state": wish.state})
    return Turn(Page("done", notice="logged_out"))
