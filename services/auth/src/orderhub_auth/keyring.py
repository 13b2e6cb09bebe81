"""The keys of this replica: signs with the key whose turn it is, and says which public keys count just now."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from joserfc import jwt
from orderhub_chassis.db import Database

from orderhub_auth import keys, queries, schedule
from orderhub_auth.errors import KeysNotRead, KeyStaysSealed
from orderhub_auth.keys import CannotOpen, Jwk, Seal, StoredKey
from orderhub_auth.schedule import State, Times


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that counts: what it signed is believed."""

    kid: str
    alg: str
    jwk: Jwk


class KeyRing:
    """Goes by the rows of the database as `reload` last read them, and by the clock.

    What is read is good for `times.ahead`: so long before it signs every ordinary successor is there to be read.
    `longest_token` is the longest that anything lives that is signed here; the overlap counts on it.
    """

    def __init__(self, db: Database, seal: Seal, times: Times, longest_token: timedelta) -> None:
        self.db = db
        self.times = times
        self._seal = seal
        self._longest_token = longest_token
        self._keys: tuple[StoredKey, ...] = ()
        self._private: dict[str, Jwk] = {}
        self._read_at = -math.inf
        self._asked = self._taken = 0

    async def reload(self) -> None:
        """Raises Unavailable when the database cannot be asked; what was read before counts on then."""
        self._asked += 1
        asked = self._asked
        found = await queries.token_keys(self.db)
        if asked > self._taken:  # an answer that was overtaken by a later one is old
            self._taken = asked
            self.take(found)

    def take(self, found: list[StoredKey]) -> None:
        """These are the keys from now on. A private part that was opened once is not opened again."""
        self._private = {key.kid: key_of for key in found if key.sealed and (key_of := self._opened(key))}
        self._keys, self._read_at = tuple(found), asyncio.get_running_loop().time()

    def _opened(self, stored: StoredKey) -> Jwk | None:
        if known := self._private.get(stored.kid):
            return known
        try:
            return self._seal.open(stored)
        except CannotOpen:
            return None

    def sign(self, alg: str, claims: Mapping[str, Any], *, typ: str, now: datetime) -> str:
        """A JWT (RFC 7519) in compact form; `claims` must have `exp`.

        Raises KeysNotRead and KeyStaysSealed (Unavailable), and ValueError for a token that would outlive its key.
        """
        if asyncio.get_running_loop().time() - self._read_at > self.times.ahead.total_seconds():
            raise KeysNotRead
        key = schedule.signing(self._keys, alg, now)
        if key is None:
            raise KeysNotRead
        if key.kid not in self._private:
            raise KeyStaysSealed(key.kid)
        if claims["exp"] - now.timestamp() > self._longest_token.total_seconds():
            raise ValueError(
                f"the token would live longer than the {self._longest_token} its key is kept for"
            )
        header = {"alg": alg, "typ": typ, "kid": key.kid}
        return jwt.encode(header, dict(claims), self._private[key.kid], algorithms=[alg])

    def jwks(self) -> str:
        """The public JSON Web Key Set (RFC 7517, section 5), as it is now."""
        return keys.jwks(self.published())

    def all(self) -> tuple[StoredKey, ...]:
        """As they were read, whether they count or not."""
        return self._keys

    def published(self) -> list[StoredKey]:
        """Of both algorithms; a key whose overlap is over is not among them, whoever cleans up later."""
        return schedule.published(self._keys, self.times, self.db.clock.now())

    def public(self, kid: str) -> PublicKey | None:
        """A published key, retired ones too; None for a key that does not count (any more)."""
        for key in self.published():
            if key.kid == kid:
                return PublicKey(kid, key.alg, keys.public_key(key))
        return None

    def sealed_still(self, states: frozenset[State]) -> list[str]:
        """The kids of keys in such a state whose private part cannot be opened here."""
        now = self.db.clock.now()
        return [
            key.kid
            for key in self._keys
            if key.kid not in self._private
            and schedule.standing(key, self._keys, self.times, now).state in states
        ]
