"""What is done with API keys: made, renamed, revoked, and looked at when they are presented."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from orderhub_chassis.db import Database, Transaction
from orderhub_chassis.telemetry import log
from orderhub_contracts import api_keys as contract
from orderhub_contracts.api_keys import Presented

from orderhub_auth import errors, metrics, queries
from orderhub_auth.api_keys import model
from orderhub_auth.api_keys.model import ApiKey
from orderhub_auth.store import api_keys as store
from orderhub_auth.store import users

USED_EVERY: Final = timedelta(minutes=1)
"""How exact `last_used_at` is: a key that is used a thousand times a second is one write a minute."""
KEPT: Final = timedelta(days=90)
"""How long a key that is over can still be looked at."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key as asked for, not yet checked."""

    vendor_id: UUID
    name: str
    scopes: Sequence[str]
    expires_at: str


@dataclass(frozen=True, slots=True)
class KeyChange:
    """What is None stays as it is."""

    name: str | None = None
    expires_at: str | None = None


@dataclass(frozen=True, slots=True)
class ApiKeys:
    """`longest` is how long a key lives at most, `most` how many of a vendor may live at once."""

    db: Database
    longest: timedelta
    most: int
    _used: dict[UUID, datetime] = field(default_factory=dict)

    async def create(self, new: NewKey, user_id: UUID) -> tuple[ApiKey, str]:
        """The key's text is returned here and kept nowhere.

        Raises MakerUnknown for a user of another issuer, whose standing could not be looked at later; UserDisabled,
        TooManyApiKeys, Invalid.
        """
        public_id, secret = _letters(contract.PUBLIC_LENGTH), _letters(contract.SECRET_LENGTH)
        text, now = contract.assembled(public_id, secret), self.db.clock.now()
        until = model.checked_expiry(new.expires_at, made_at=now, longest=self.longest, now=now)
        key = ApiKey(
            self.db.new_id(), new.vendor_id, public_id, contract.hash_of(text), model.checked_name(new.name),
            model.checked_scopes(new.scopes), user_id, now, until,
        )  # fmt: skip

        async def work(tx: Transaction) -> None:
            await _check_maker(tx, user_id)
            if await store.live_api_keys(tx, key.vendor_id, now=now) >= self.most:
                raise errors.TooManyApiKeys(self.most)
            await store.insert_api_key(tx, key)

        await self.db.run(work)
        log("auth").info("api_key.created", id=str(key.id), vendor_id=str(key.vendor_id), by=str(user_id))
        return key, text

    async def change(self, id: UUID, vendor_id: UUID | None, change: KeyChange) -> ApiKey:
        """Raises ApiKeyNotFound, ApiKeyRevoked, Invalid."""

        async def work(tx: Transaction) -> ApiKey:
            key, now = await store.load_api_key(tx, id, vendor_id), self.db.clock.now()
            if key.revoked_at is not None:
                raise errors.ApiKeyRevoked
            changed = replace(
                key,
                name=key.name if change.name is None else model.checked_name(change.name),
                expires_at=key.expires_at if change.expires_at is None else self._expiry(key, change.expires_at, now),
            )  # fmt: skip
            await store.save_api_key(tx, changed)
            return changed

        return await self.db.run(work)

    def _expiry(self, key: ApiKey, text: str, now: datetime) -> datetime:
        return model.checked_expiry(text, made_at=key.created_at, longest=self.longest, now=now)

    async def revoke(self, id: UUID, vendor_id: UUID | None) -> None:
        """Raises ApiKeyNotFound."""

        async def work(tx: Transaction) -> ApiKey | None:
            key = await store.load_api_key(tx, id, vendor_id)
            if key.revoked_at is not None:
                return None
            await store.save_api_key(tx, replace(key, revoked_at=self.db.clock.now()))
            return key

        if revoked := await self.db.run(work):
            log("auth").info("api_key.revoked", id=str(id), vendor_id=str(revoked.vendor_id))

    async def resolve(self, presented: Sequence[Presented]) -> list[ApiKey | None]:
        """The key that each is, where it is good; that it was used is written later."""
        found = await queries.api_keys(self.db, [one.public_id for one in presented])
        now, answers = self.db.clock.now(), list[ApiKey | None]()
        for one in presented:
            key, maker = found.get(one.public_id, (None, None))
            good = model.is_good(key, maker, one.key_hash, now=now)
            metrics.API_KEYS.labels("good" if good else "refused").inc()
            answers.append(key if good else None)
            if good and key is not None:
                self._note(key, now)
        return answers

    def _note(self, key: ApiKey, now: datetime) -> None:
        if key.last_used_at is None or key.last_used_at <= now - USED_EVERY:
            self._used.setdefault(key.id, now)

    async def write_used(self) -> bool:
        """What was noted since; a process that is killed before loses a few seconds of it."""
        used = dict(self._used)
        if used:
            await self.db.run(lambda tx: store.note_used(tx, used, every=USED_EVERY))
            for id in used:
                self._used.pop(id, None)
        return False


async def _check_maker(tx: Transaction, user_id: UUID) -> None:
    try:
        maker = await users.load_user(tx, user_id)
    except errors.UserNotFound:
        raise errors.MakerUnknown from None
    if maker.disabled:
        raise errors.UserDisabled


def _letters(length: int) -> str:
    return "".join(secrets.choice(contract.LETTERS) for _ in range(length))
