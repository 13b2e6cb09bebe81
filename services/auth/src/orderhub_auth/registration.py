"""Becoming a customer. Whoever asks learns nothing of whether the address has a user already; that user is told.

Both ways cost the same: one hash, one transaction that writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from orderhub_chassis.db import Database, Transaction
from orderhub_chassis.messages import Outgoing
from orderhub_contracts.events.v1.events_pb2 import RegistrationAttempted

from orderhub_auth import accounts, metrics, model
from orderhub_auth.accounts import NewUser
from orderhub_auth.model import Purpose, User
from orderhub_auth.passwords import Passwords
from orderhub_auth.recovery import Recovery
from orderhub_auth.store import users

BETWEEN_WARNINGS: Final = timedelta(hours=1)
"""Nobody fills somebody's mailbox by registering in its name."""


@dataclass(frozen=True, slots=True)
class Registration:
    db: Database
    passwords: Passwords
    recovery: Recovery

    async def register(self, email: str, password: str, name: str) -> None:
        """A customer who may log in at once, with a code for its address in the mail. Raises Invalid that names the field."""
        new = NewUser(email, password, ("customer",), name=name)
        user = await accounts.checked(self.db, self.passwords, new, verified=False)
        is_new = await self.db.run(lambda tx: self._register(tx, user))
        metrics.REGISTRATIONS.labels("new" if is_new else "known").inc()

    async def _register(self, tx: Transaction, user: User) -> bool:
        if not await users.insert_new_user(tx, user):
            await self._warn(tx, user.email)
            return False
        accounts.announce(tx, user)
        await self.recovery.mail(tx, user.id, Purpose.EMAIL_VERIFICATION)
        return True

    async def _warn(self, tx: Transaction, email: str) -> None:
        """The row is written in any case: a transaction that writes nothing commits sooner, and the clock would tell."""
        now = self.db.clock.now()
        user, warned_at = await users.load_warned(tx, email)
        is_due = warned_at is None or now - warned_at >= BETWEEN_WARNINGS
        await users.set_warned(tx, user.id, now if is_due else warned_at)
        if is_due and model.can_come_in(user, now=now):
            mail = RegistrationAttempted(user_id=str(user.id), email=user.email, name=user.name)
            tx.send(Outgoing(mail, str(user.id), actor=str(user.id)))
