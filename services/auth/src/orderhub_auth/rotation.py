"""How signing keys come and go: the first ones, the next ones by schedule or by an operator, and what is left of old ones."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from orderhub_chassis.clock import rfc3339
from orderhub_chassis.db import Database, Transaction
from orderhub_chassis.messages import Outgoing
from orderhub_chassis.telemetry import log
from orderhub_contracts.events.v1.keys_pb2 import SigningKeyRotated

from orderhub_auth import keys, schedule
from orderhub_auth.errors import KeyStaysSealed
from orderhub_auth.keyring import KeyRing
from orderhub_auth.keys import ALGORITHMS, CannotOpen, Seal, StoredKey
from orderhub_auth.schedule import State
from orderhub_auth.store import token_keys

HINT: Final = "keys:auth"
"""Told whenever the set has changed: replicas of auth read it, gateways fetch it."""
SCHEDULE: Final = "auth"
"""Who rotates where no operator asked for it."""
NEEDED: Final = frozenset({State.PREPUBLISHED, State.SIGNING})


@dataclass(frozen=True, slots=True)
class Rotation:
    """Every change is decided under one lock, so replicas that rotate at once make one key."""

    db: Database
    ring: KeyRing
    seal: Seal

    async def start(self) -> None:
        """Makes the first keys where there are none. Raises CannotOpen for a key that signs, or will, and is sealed
        with a secret that is not among ours."""
        await self.tick()
        if sealed := self.ring.sealed_still(NEEDED):
            raise CannotOpen(f"signing key {sealed[0]} was sealed with another key")

    async def look(self) -> None:
        """What each replica does every few seconds. Raises KeyStaysSealed (Unavailable) while it cannot sign."""
        await self.tick()
        if sealed := self.ring.sealed_still(frozenset({State.SIGNING})):
            raise KeyStaysSealed(sealed[0])
        for kid in self.ring.sealed_still(NEEDED):
            log("auth").warning("auth.key_stays_sealed", kid=kid)

    async def tick(self) -> None:
        """Reads the keys, adds those that are due, and tidies up; raises Unavailable."""
        await self.ring.reload()
        now, times = self.db.clock.now(), self.ring.times
        found = self.ring.all()
        due = [alg for alg in ALGORITHMS if schedule.due(found, alg, times, now)]
        if not due and not self._untidy(found):
            return
        made = await self.prepared(due)

        async def work(tx: Transaction) -> None:
            there = await token_keys.load_keys(tx)
            for key in made:
                if signs_from := schedule.due(there, key.alg, times, now):
                    await self._add(tx, replace(key, signs_from=signs_from), SCHEDULE)
            await self._tidy(tx, there)

        await self.db.run(work)
        await self.changed()

    async def prepared(self, algorithms: Collection[str]) -> list[StoredKey]:
        """Fresh keys, to be had before a transaction: finding the primes of one can take a fifth of a second."""
        now = self.db.clock.now()
        return [
            await asyncio.to_thread(keys.generate, alg, self.seal, now=now, signs_from=now)
            for alg in algorithms
        ]

    async def follow(self, tx: Transaction, made: StoredKey, *, by: str) -> None:
        """Publish the next key of an algorithm now, unless one waits for its turn already."""
        found = await token_keys.load_keys(tx)
        if signs_from := schedule.following(found, made.alg, self.ring.times, self.db.clock.now()):
            await self._add(tx, replace(made, signs_from=signs_from), by)

    async def take_over(self, tx: Transaction, made: StoredKey, *, by: str) -> None:
        """For keys that somebody else may know: the fresh one signs from now on. All others of the algorithm, which lay
        beside each other, leave the set with everything that they signed."""
        now = self.db.clock.now()
        found = await token_keys.load_keys(tx)
        others = sorted(key.kid for key in found if key.alg == made.alg and key.revoked_at is None)
        await token_keys.revoke_keys(tx, others, now=now)
        await self._add(tx, replace(made, signs_from=now), by, others)

    async def changed(self) -> None:
        """After the commit: this replica goes by it at once, and the others are told."""
        await self.ring.reload()
        self.db.hints.notify(HINT)

    async def _add(self, tx: Transaction, key: StoredKey, by: str, revoked: Collection[str] = ()) -> None:
        await token_keys.insert_key(tx, key)
        event = SigningKeyRotated(
            user_id=by,
            kid=key.kid,
            algorithm=key.alg,
            signs_from=rfc3339(key.signs_from),
            revoked_kids=revoked,
        )
        tx.send(Outgoing(event, by, actor=by))
        log("auth").info("auth.key_added", kid=key.kid, alg=key.alg, by=by, revoked=len(revoked))

    def _untidy(self, found: Collection[StoredKey]) -> bool:
        return bool(self._resealed(found) or self._bare(found) or self._gone(found))

    async def _tidy(self, tx: Transaction, found: Collection[StoredKey]) -> None:
        for kid, sealed in self._resealed(found).items():
            await token_keys.reseal_key(tx, kid, sealed)
        await token_keys.erase_private(tx, self._bare(found))
        await token_keys.delete_keys(tx, self._gone(found))

    def _resealed(self, found: Collection[StoredKey]) -> dict[str, str]:
        """Those that a former secret opened, sealed with that of today."""
        bare = set(self._bare(found))
        resealed = {key.kid: self.seal.renewed(key) for key in found if key.sealed and key.kid not in bare}
        return {kid: sealed for kid, sealed in resealed.items() if sealed}

    def _bare(self, found: Collection[StoredKey]) -> list[str]:
        """Those that signed until a while ago: by then nobody's clock has them sign."""
        before = self.db.clock.now() - self.ring.times.ahead
        return [key.kid for key in schedule.spent(found, before) if key.sealed]

    def _gone(self, found: Collection[StoredKey]) -> list[str]:
        return [key.kid for key in schedule.deletable(found, self.ring.times, self.db.clock.now())]
