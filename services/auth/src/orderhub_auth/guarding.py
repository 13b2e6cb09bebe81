"""The guard in front of every look at a password, whoever asks: the login, the provider's page, a change."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from orderhub_chassis.db import Database, Transaction
from orderhub_chassis.errors import Failure

from orderhub_auth import backoff, errors, metrics
from orderhub_auth.backoff import Counts, Held, Keys, Policies
from orderhub_auth.model import User
from orderhub_auth.passwords import Passwords
from orderhub_auth.store import guesses


@dataclass(frozen=True, slots=True)
class Guard:
    """Counts in the database, so that all replicas share them."""

    db: Database
    passwords: Passwords
    policies: Policies

    async def verified(self, account: str, address: str, password: str, hash: str | None) -> bool:
        """Whether it is the password; one verification also where there is no hash. The attempt is counted before it is
        made: of a hundred at once no more are looked at than of a hundred in a row.

        Raises GuessedTooOften, and then nobody looked at the password.
        """
        keys = Keys.of(account, address)
        before, mine = await self._count(keys)
        try:
            right = await self.passwords.verify(password, hash)
        except Failure:
            await self._settle(keys, lambda latest: backoff.undone(latest, before, mine))
            raise
        if right:
            now = self.db.clock.now()
            await self._settle(keys, lambda latest: backoff.forgiven(latest, before, mine, now=now))
        return right

    async def own(self, user: User, password: str) -> bool:
        """Whether it is the password of who is logged in already: guessed at with a stolen token it holds up no login."""
        return await self.verified(user.email, f"session of {user.id}", password, user.password_hash)

    async def trust(self, tx: Transaction, account: str, address: str) -> None:
        """Whoever proved in another way that the account is its own is not held at that place."""
        keys = Keys.of(account, address)
        counts = await guesses.load_counts(tx, keys)
        now = self.db.clock.now()
        await guesses.save_counts(tx, keys, backoff.forgiven(counts, counts, counts, now=now))

    async def _count(self, keys: Keys) -> tuple[Counts, Counts]:
        """The counts without and with this attempt."""

        async def work(tx: Transaction) -> tuple[Counts, Counts] | Held:
            now, before = self.db.clock.now(), await guesses.load_counts(tx, keys)
            if held := backoff.judge(before, self.policies, now=now):
                return held
            mine = backoff.counted(before, self.policies, now=now)
            await guesses.save_counts(tx, keys, mine)
            return before, mine

        answer = await self.db.run(work)
        if isinstance(answer, Held):
            metrics.GUESSES_HELD.labels(answer.policy).inc()
            raise errors.GuessedTooOften(math.ceil(answer.wait.total_seconds()))
        return answer

    async def _settle(self, keys: Keys, decide: Callable[[Counts], Counts]) -> None:
        async def work(tx: Transaction) -> None:
            await guesses.save_counts(tx, keys, decide(await guesses.load_counts(tx, keys)))

        await self.db.run(work)
