"""What users say of themselves: name, telephone number and postal address."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from orderhub_chassis.db import Database, Transaction

from orderhub_auth import model
from orderhub_auth.model import PostalAddress, User
from orderhub_auth.store import users


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """What is None stays as it is; what is empty is taken away."""

    name: str | None = None
    phone: str | None = None
    address: PostalAddress | None = None

    def applied_to(self, user: User, *, now: datetime) -> User:
        """Raises Invalid that names the field."""
        return replace(
            user,
            name=user.name if self.name is None else model.checked_name(self.name),
            phone=user.phone if self.phone is None else model.checked_phone(self.phone),
            address=user.address if self.address is None else model.checked_address(self.address),
            updated_at=now,
        )


async def change_profile(db: Database, user_id: UUID, change: ProfileChange) -> User:
    """Raises UserNotFound, and Invalid that names the field."""

    async def work(tx: Transaction) -> User:
        before = await users.load_user(tx, user_id, to_change=True)
        user = change.applied_to(before, now=db.clock.now())
        await users.save_profile(tx, user)
        return user

    return await db.run(work)
