"""What is over and may go: the scheduled job, and the same code once for `orderhub cleanup`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from orderhub_chassis.db import Database, Transaction

from orderhub_auth import backoff, metrics
from orderhub_auth.api_keys.uses import KEPT as API_KEYS_KEPT
from orderhub_auth.provider import store as provider_store
from orderhub_auth.settings import Settings
from orderhub_auth.store import api_keys, codes, guesses, jobs, revocations, second_factors, sessions

NAME: Final = "cleanup"
EVERY: Final = timedelta(minutes=10)
REMEMBERED: Final = timedelta(hours=1)
"""How long a provider's code that ran out is still known: who comes with it later has a copy, and its session ends."""


class Kind(StrEnum):
    EXPIRED = "expired"
    SESSIONS = "sessions"
    CONSUMED = "consumed"


Prune = Callable[[Transaction, datetime], Awaitable[int]]
"""Deletes at most a batch; returns how many."""


@dataclass(frozen=True, slots=True)
class Chore:
    kind: Kind
    what: str
    prune: Prune


@dataclass(frozen=True, slots=True)
class Cleanup:
    """`consumed_kept`: as long as a session lives. Whoever comes with a copy of a spent token by then ends its session;
    later the copy is refused like any unknown one."""

    db: Database
    consumed_kept: timedelta

    async def if_due(self) -> None:
        """By one replica per period, whichever looks first."""
        now = self.db.clock.now()
        if await self.db.run(lambda tx: jobs.begin(tx, NAME, now=now, every=EVERY)):
            deleted = await self.run()
            metrics.SESSIONS_PRUNED.inc(deleted["sessions"])
            metrics.REVOCATIONS_PRUNED.inc(deleted["revocations"])

    async def run(self, kinds: Collection[Kind] = tuple(Kind)) -> dict[str, int]:
        """All there is, in batches of a transaction each; how many of each went."""
        return {chore.what: await self._all_of(chore) for chore in self._chores() if chore.kind in kinds}

    async def _all_of(self, chore: Chore) -> int:
        now, total = self.db.clock.now(), 0
        while done := await self.db.run(lambda tx: chore.prune(tx, now)):
            total += done
        return total

    def _chores(self) -> tuple[Chore, ...]:
        kept, known = self.consumed_kept, backoff.KNOWN_FOR
        return (
            Chore(Kind.EXPIRED, "codes", lambda tx, now: codes.prune_codes(tx, before=now)),
            Chore(Kind.EXPIRED, "second steps", lambda tx, now: second_factors.prune_steps(tx, before=now)),
            Chore(Kind.EXPIRED, "provider", lambda tx, now: provider_store.prune(tx, before=now - REMEMBERED)),
            Chore(Kind.EXPIRED, "revocations", lambda tx, now: revocations.prune_revocations(tx, before=now)),
            Chore(Kind.EXPIRED, "API keys", lambda tx, now: api_keys.prune_api_keys(tx, before=now - API_KEYS_KEPT)),
            Chore(Kind.EXPIRED, "guesses", lambda tx, now: guesses.prune_guesses(tx, now=now, known_since=now - known)),
            Chore(Kind.SESSIONS, "sessions", lambda tx, now: sessions.prune_sessions(tx, before=now)),
            Chore(Kind.CONSUMED, "refresh tokens", lambda tx, now: sessions.prune_spent(tx, before=now - kept)),
            Chore(Kind.CONSUMED, "used codes", lambda tx, now: codes.prune_spent(tx, before=now - REMEMBERED)),
        )  # fmt: skip


async def run_once(settings: Settings, kinds: Collection[Kind]) -> dict[str, int]:
    """On the database itself, with auth stopped or running."""
    url = settings.database_url.get_secret_value()
    async with Database.open(url, service="auth", size=1) as db:
        return await Cleanup(db, settings.refresh_lifetime).run(kinds)
