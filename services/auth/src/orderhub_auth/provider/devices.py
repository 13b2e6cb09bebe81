"""Devices without a browser (RFC 8628): their codes, and the page on which a person lets one in."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from orderhub_chassis.db import Database, Transaction

from orderhub_auth import tokens
from orderhub_auth.provider import interactions, model, store
from orderhub_auth.provider.authentication import ClientDoor
from orderhub_auth.provider.errors import ForeignInteraction, OAuthError
from orderhub_auth.provider.model import Login, Parameters
from orderhub_auth.provider.store import Device
from orderhub_auth.provider.turns import Browser, Page, Turn
from orderhub_auth.store import browsers

LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so that no words come out, and nothing that looks like a digit (RFC 8628, section 6.1)."""
LENGTH: Final = 8
"""20⁸ codes: with the limit on guesses nobody hits one in its ten minutes (RFC 8628, section 5.1)."""
LIFETIME: Final = timedelta(minutes=10)
INTERVAL: Final = 5
MISSES: Final = 5
PAUSE: Final = timedelta(minutes=10)
TRIES: Final = 5


def normal(user_code: str) -> str:
    """As people type it: small letters, dashes and spaces do not matter."""
    return "".join(letter for letter in user_code.upper() if letter.isalnum())


def shown(user_code: str) -> str:
    return f"{user_code[:4]}-{user_code[4:]}"


@dataclass(frozen=True, slots=True)
class Devices:
    """`page` is where people go to type the code."""

    db: Database
    door: ClientDoor
    page: str

    async def authorize(self, parameters: Parameters, authorization: str) -> dict[str, Any]:
        """RFC 8628, section 3.1. Raises OAuthError."""
        party, given = await self.door.admit(parameters, authorization)
        if model.DEVICE not in party.grant_types:
            raise OAuthError("unauthorized_client", f"this client is not registered for {model.DEVICE}")
        asked = tuple(dict.fromkeys(given.get("scope", "").split()))
        scopes = tuple(scope for scope in asked if scope in party.scopes)
        if not scopes:
            raise OAuthError("invalid_scope", "scope names none that this client is registered for")
        secret, now = tokens.new_code(), self.db.clock.now()
        for _ in range(TRIES):
            user_code = "".join(secrets.choice(LETTERS) for _ in range(LENGTH))
            device = Device(
                tokens.hash_of(secret), user_code, party.id, scopes, "pending", None, INTERVAL, None, now + LIFETIME
            )  # fmt: skip
            if await self._inserted(device, now):
                return self._answer(secret, user_code)
        raise OAuthError("temporarily_unavailable", "no free user code was found", status=503)

    async def _inserted(self, device: Device, now: datetime) -> bool:
        return await self.db.run(lambda tx: store.insert_device(tx, device, now=now))

    def _answer(self, secret: str, user_code: str) -> dict[str, Any]:
        return {
            "device_code": secret,
            "user_code": shown(user_code),
            "verification_uri": self.page,
            "verification_uri_complete": f"{self.page}?user_code={shown(user_code)}",
            "expires_in": int(LIFETIME.total_seconds()),
            "interval": INTERVAL,
        }

    async def visit(self, user_code: str, browser: Browser) -> Turn:
        """The page, or the login before it."""
        login = await self._login(browser)
        parameters = (("user_code", user_code),) if user_code else ()
        if login is None:
            return await interactions.begin(self.db, "device", parameters, browser, Page("login"))
        page = Page("device", user_code=user_code)
        turn = await interactions.begin(self.db, "device", parameters, browser, page)
        if not user_code:
            return turn
        described = await self.decide(_secret_of(turn), user_code, "", _known(browser, turn))
        return replace(described, cookie=turn.cookie)

    async def decide(self, interaction: str, user_code: str, decision: str, browser: Browser) -> Turn:
        """Shows who waits under this code; with a decision, lets it in or not. Raises ForeignInteraction."""
        login = await self._login(browser)
        if login is None:
            raise ForeignInteraction
        page = Page("device", interaction, user_code=user_code)

        async def work(tx: Transaction) -> Turn:
            now = self.db.clock.now()
            await interactions.load(tx, interaction, browser, "device", now=now)
            if await browsers.misses(tx, login.id, since=now - PAUSE) >= MISSES:
                pause = int(PAUSE.total_seconds())
                return Turn(replace(page, notice="slow", retry_after=pause))
            device = await store.load_device(tx, user_code=normal(user_code))
            if device is None or device.state != "pending" or device.expires_at <= now:
                await browsers.miss(tx, login.id, since=now - PAUSE, now=now)
                return Turn(replace(page, notice="code_unknown"))
            party = await store.load_client(tx, device.client_id)
            if party is None or party.disabled:
                return Turn(replace(page, notice="code_unknown"))
            if not decision:
                code = shown(device.user_code)
                return Turn(replace(page, client_name=party.name, scopes=device.scopes, user_code=code))
            allowed = decision == "allow"
            state = "allowed" if allowed else "denied"
            await store.save_device(tx, replace(device, state=state, login_id=login.id if allowed else None))
            await store.delete_interaction(tx, tokens.hash_of(interaction))
            notice = "device_allowed" if allowed else "device_denied"
            return Turn(Page("done", client_name=party.name, notice=notice))

        return await self.db.run(work)

    async def _login(self, browser: Browser) -> Login | None:
        return await store.login(self.db, tokens.hash_of(browser.cookie)) if browser.cookie else None


def _secret_of(turn: Turn) -> str:
    return turn.next.interaction if isinstance(turn.next, Page) else ""


def _known(browser: Browser, turn: Turn) -> Browser:
    return replace(browser, cookie=turn.cookie or browser.cookie)
