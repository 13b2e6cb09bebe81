"""Users made on the database itself: the first operator and the demo users, when nobody may ask auth yet.

The launcher calls these with auth stopped or running; the events leave with auth's own relay.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass

from orderhub_chassis.db import Database, Transaction

from orderhub_auth import accounts
from orderhub_auth.accounts import NewUser
from orderhub_auth.model import User
from orderhub_auth.passwords import Passwords
from orderhub_auth.settings import Settings
from orderhub_auth.store import users as stored

__all__ = ["NewUser", "create_operator", "create_users", "ensure_users"]


async def create_operator(settings: Settings, email: str, password: str) -> User:
    """The first operator of an installation. Raises Invalid or EmailTaken."""
    (user,) = await create_users(settings, [NewUser(email, password, ("operator",))])
    return user


async def create_users(settings: Settings, users: Sequence[NewUser]) -> list[User]:
    """All of them or none. Raises Invalid or EmailTaken."""

    async def work(tx: Transaction, checked: list[User]) -> list[User]:
        for user in checked:
            await accounts.add_user(tx, user)
        return checked

    async with _opened(settings) as opened:
        checked = await opened.checked(users)
        return await opened.db.run(lambda tx: work(tx, checked))


async def ensure_users(settings: Settings, users: Sequence[NewUser]) -> list[User]:
    """Make those that are missing, and give the others this password, these roles and this vendor."""

    async def ensured(tx: Transaction, user: User) -> User:
        if known := await stored.set_user(tx, user, now=user.created_at):
            return known
        await accounts.add_user(tx, user)
        return user

    async def work(tx: Transaction, checked: list[User]) -> list[User]:
        return [await ensured(tx, user) for user in checked]

    async with _opened(settings) as opened:
        checked = await opened.checked(users)
        return await opened.db.run(lambda tx: work(tx, checked))


@dataclass(frozen=True, slots=True)
class _Opened:
    db: Database
    passwords: Passwords

    async def checked(self, users: Sequence[NewUser]) -> list[User]:
        return [await accounts.checked(self.db, self.passwords, user, verified=True) for user in users]


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[_Opened]:
    passwords = Passwords(memory_kib=settings.argon2_memory_kib, passes=settings.argon2_passes)
    url = settings.database_url.get_secret_value()
    async with Database.open(url, service="auth", size=2) as db:
        with closing(passwords):
            yield _Opened(db, passwords)
