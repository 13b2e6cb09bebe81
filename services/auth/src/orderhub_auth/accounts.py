"""Auth's use cases: make a user, log in, refresh, log out. Each is one transaction; hashing stays outside of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from uuid import UUID

from orderhub_chassis.db import Database, Transaction
from orderhub_chassis.messages import Outgoing
from orderhub_contracts.events.v1.events_pb2 import PasswordChanged, UserRegistered

from orderhub_auth import errors, model, queries, step_up, tokens
from orderhub_auth.errors import MfaRequired
from orderhub_auth.guarding import Guard
from orderhub_auth.issuing import Granted, Issuing
from orderhub_auth.model import Client, User
from orderhub_auth.passwords import Passwords
from orderhub_auth.store import revocations, sessions, users


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user as asked for, not yet checked."""

    email: str
    password: str
    roles: Collection[str]
    vendor_id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Lock:
    """None is none."""

    until: datetime | None


@dataclass(frozen=True, slots=True)
class UserChange:
    """What is None stays as it is."""

    standing: tuple[tuple[str, ...], UUID | None] | None = None
    disabled: bool | None = None
    name: str | None = None
    lock: Lock | None = None

    def applied_to(self, user: User, *, now: datetime) -> User:
        """Raises Invalid that names the field."""
        roles, vendor_id = self.standing or (user.roles, user.vendor_id)
        return replace(
            user, roles=roles, vendor_id=vendor_id,
            disabled=user.disabled if self.disabled is None else self.disabled,
            name=user.name if self.name is None else self.name,
            locked_until=self._locked_until(user, now=now), updated_at=now,
        )  # fmt: skip

    def _locked_until(self, user: User, *, now: datetime) -> datetime | None:
        if self.lock is None:
            return user.locked_until
        return model.checked_lock(self.lock.until, now=now) if self.lock.until else None


async def checked(db: Database, passwords: Passwords, new: NewUser, *, verified: bool) -> User:
    """The user with its hash; raises Invalid that names the field."""
    email = model.normal_email(new.email)
    model.check_password(new.password, email)
    roles, vendor_id = model.checked_roles(new.roles, new.vendor_id)
    name = model.checked_name(new.name)
    hash = await passwords.hash(new.password)
    now = db.clock.now()
    return User(db.new_id(), email, name, hash, roles, vendor_id, verified, False, now, now)


async def add_user(tx: Transaction, user: User) -> None:
    """Raises EmailTaken."""
    await users.insert_user(tx, user)
    announce(tx, user)


def announce(tx: Transaction, user: User) -> None:
    event = UserRegistered(user_id=str(user.id), roles=user.roles)
    tx.send(Outgoing(event, str(user.id), actor=str(user.id)))


@dataclass(frozen=True, slots=True)
class Accounts:
    """Users and their sessions."""

    db: Database
    passwords: Passwords
    issuing: Issuing
    guard: Guard

    async def login(self, email: str, password: str, client: Client) -> Granted:
        """Raises WrongCredentials for an unknown address and for a wrong password alike, and MfaRequired for a right one
        that is not enough."""
        while True:
            user = await self.check_password(email, password, client)
            rehashed = await self.passwords.hash(password) if self._outdated(user) else None
            answer = await self.db.run(partial(self._login, found=user, rehashed=rehashed, client=client))
            if isinstance(answer, MfaRequired):
                raise answer
            if answer is not None:
                return answer

    async def check_password(self, email: str, password: str, client: Client) -> User:
        """The user as it was looked at: whoever then grants in a transaction compares `password_hash` again.

        Raises WrongCredentials for an unknown address and for a wrong password alike, after one verification each, and
        GuessedTooOften, after none.
        """
        normal = model.email_or_none(email)
        user = await queries.user_by_email(self.db, normal) if normal else None
        hash = user.password_hash if user else None
        right = await self.guard.verified(email, client.address, password, hash)
        if user is None or not right:
            raise errors.WrongCredentials
        return user

    async def refresh(self, refresh_token: str, client: Client) -> Granted:
        """Rotate. A token that was spent before ends the session; that is committed before it raises."""
        granted = await self.db.run(
            lambda tx: self.issuing.refresh(tx, tokens.hash_of(refresh_token), client)
        )
        if granted is None:
            raise errors.RefreshRefused
        return granted

    async def logout(self, refresh_token: str) -> None:
        """End the token's session. An unknown token is as good as logged out (RFC 7009, section 2.2)."""

        async def work(tx: Transaction) -> None:
            if presented := await sessions.load_presented(tx, tokens.hash_of(refresh_token)):
                await sessions.revoke_session(tx, presented.session_id, "logout", now=self.db.clock.now())

        await self.db.run(work)

    async def end_sessions(self, user_id: UUID, reason: str, *, only: UUID | None = None) -> int:
        """All of a user's, or one; returns how many were live."""
        now = self.db.clock.now()
        return await self.db.run(lambda tx: sessions.revoke_sessions(tx, user_id, reason, now=now, only=only))

    async def change_user(self, user_id: UUID, change: UserChange) -> User:
        """An operator's change. The sessions of who is disabled or locked end at once. Access tokens that say other roles do,
        too; a refresh gives one that says the new ones.

        Raises UserNotFound, LastOperator, and Invalid that names the field.
        """

        async def work(tx: Transaction) -> User:
            now, before = self.db.clock.now(), await users.load_user(tx, user_id, to_change=True)
            user = change.applied_to(before, now=now)
            steps_down = model.is_operator(before, now=now) and not model.is_operator(user, now=now)
            if steps_down and not await users.other_operators(tx, user_id, now=now):
                raise errors.LastOperator
            await users.save_user(tx, user)
            if not model.can_come_in(user, now=now):
                reason = "user disabled" if user.disabled else "user locked"
                await sessions.revoke_sessions(tx, user_id, reason, now=now)
            if model.loses_tokens(before, user, now=now):
                await revocations.revoke_user(tx, user_id, now=now)
            return user

        return await self.db.run(work)

    async def change_password(self, user_id: UUID, session_id: UUID | None, current: str, new: str) -> None:
        """Ends the user's other sessions: whoever else knew the password is out.

        Raises UserNotFound, WrongPassword, GuessedTooOften, UserDisabled, UserLocked, Invalid that names /new_password, and
        PasswordJustChanged when another change was quicker.
        """
        user = await queries.user_by_id(self.db, user_id)
        if user is None:
            raise errors.UserNotFound
        model.check_password(new, user.email, "/new_password")
        if not await self.guard.own(user, current):
            raise errors.WrongPassword
        hash = await self.passwords.hash(new)
        await self.db.run(lambda tx: self._set_password(tx, user, hash, session_id))

    async def _set_password(self, tx: Transaction, known: User, hash: str, session_id: UUID | None) -> None:
        user, now = await users.load_user(tx, known.id, to_change=True), self.db.clock.now()
        model.check_can_issue(user, now=now)
        if user.password_hash != known.password_hash:
            raise errors.PasswordJustChanged
        await users.set_password_hash(tx, user.id, hash, now=now)
        await sessions.revoke_sessions(tx, user.id, "password changed", now=now, but=session_id)
        tx.send(Outgoing(PasswordChanged(user_id=str(user.id)), str(user.id), actor=str(user.id)))

    def _outdated(self, user: User) -> bool:
        return self.passwords.outdated(user.password_hash)

    async def _login(
        self, tx: Transaction, found: User, rehashed: str | None, client: Client
    ) -> Granted | MfaRequired | None:
        """None where the password is another one since it was looked at: then it has to be looked at again."""
        user = await users.load_user(tx, found.id, to_change=rehashed is not None)
        if user.password_hash != found.password_hash:
            return None
        if rehashed:
            await users.set_password_hash(tx, found.id, rehashed, now=self.db.clock.now())
            user = replace(user, password_hash=rehashed)
        if model.second_factor_needed(user):
            model.check_can_issue(user, now=self.db.clock.now())
            return MfaRequired(await step_up.ask(tx, user, now=self.db.clock.now()))
        return await self.issuing.open_session(tx, user, client)
