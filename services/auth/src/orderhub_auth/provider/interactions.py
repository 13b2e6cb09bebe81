"""Pages whose forms come back: made for one browser, good for a while, gone when they have been answered.

A form carries the interaction's secret, and the browser its cookie: another site can neither know the one nor read the
other, so that it cannot answer for a person (CSRF), nor log it in as somebody else.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from orderhub_chassis.db import Database, Transaction

from orderhub_auth import tokens
from orderhub_auth.provider import store
from orderhub_auth.provider.errors import ForeignInteraction
from orderhub_auth.provider.store import Interaction
from orderhub_auth.provider.turns import Browser, Page, Turn

LIFETIME: Final = timedelta(minutes=15)
Parameters = tuple[tuple[str, str], ...]


def new_secret() -> str:
    """For a cookie or a form: 256 random bits."""
    return secrets.token_urlsafe(32)


async def begin(db: Database, kind: str, parameters: Parameters, browser: Browser, page: Page) -> Turn:
    """Show the page with a new interaction; a browser without a cookie gets one."""
    secret, cookie, now = new_secret(), browser.cookie or new_secret(), db.clock.now()
    row = Interaction(
        tokens.hash_of(secret), tokens.hash_of(cookie), kind, parameters, None, 0, now, now + LIFETIME
    )
    await db.run(lambda tx: store.insert_interaction(tx, row))
    return Turn(replace(page, interaction=secret), "" if browser.cookie else cookie)


async def load(tx: Transaction, secret: str, browser: Browser, *kinds: str, now: datetime) -> Interaction:
    """The interaction of a form that came back, locked. Raises ForeignInteraction."""
    found = await store.load_interaction(tx, tokens.hash_of(secret))
    if found is None or found.kind not in kinds or found.expires_at <= now:
        raise ForeignInteraction
    if not browser.cookie or not hmac.compare_digest(found.cookie_hash, tokens.hash_of(browser.cookie)):
        raise ForeignInteraction
    return found
