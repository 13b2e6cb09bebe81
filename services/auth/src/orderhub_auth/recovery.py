"""Codes that are mailed: a new password for who has lost the old one, and addresses that are verified.

A code works once and for a while; a newer one of its kind takes its place. Whoever asks for one learns nothing of whether
there is such a user.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from orderhub_chassis.clock import rfc3339
from orderhub_chassis.db import Database, Transaction
from orderhub_chassis.messages import Outgoing
from orderhub_contracts.events.v1.events_pb2 import (
    EmailVerificationRequested,
    PasswordChanged,
    PasswordResetRequested,
)

from orderhub_auth import errors, model, queries, tokens
from orderhub_auth.guarding import Guard
from orderhub_auth.model import Client, Code, Purpose, User
from orderhub_auth.passwords import Passwords
from orderhub_auth.store import codes, guesses, revocations, sessions, users

BETWEEN: Final = timedelta(minutes=1)
"""Between two mails of a kind to one address."""
MAILS: Final[dict[Purpose, type[PasswordResetRequested | EmailVerificationRequested]]] = {
    Purpose.PASSWORD_RESET: PasswordResetRequested,
    Purpose.EMAIL_VERIFICATION: EmailVerificationRequested,
}


@dataclass(frozen=True, slots=True)
class Recovery:
    """`lifetimes` is how long a code of each kind works."""

    db: Database
    passwords: Passwords
    guard: Guard
    lifetimes: dict[Purpose, timedelta]

    async def request_reset(self, email: str) -> None:
        """Mails a code where there is such a user; the answer is the same where there is none.

        A row is written in any case: a transaction that writes nothing commits sooner, and the clock would tell.
        """
        normal = model.email_or_none(email)
        if normal is None:
            return
        user = await queries.user_by_email(self.db, normal)

        async def work(tx: Transaction) -> None:
            await guesses.note_request(tx, tokens.hash_of(f"reset {normal}"), now=self.db.clock.now())
            if user is not None:
                await self.mail(tx, user.id, Purpose.PASSWORD_RESET)

        await self.db.run(work)

    async def request_verification(self, user_id: UUID) -> None:
        """Raises UserNotFound."""
        await self.db.run(lambda tx: self.mail(tx, user_id, Purpose.EMAIL_VERIFICATION))

    async def reset(self, code: str, password: str, client: Client) -> None:
        """Ends all sessions: whoever had the old password is out. Who has the mail is not held up by guesses of others.
        Raises CodeRefused, UserDisabled, UserLocked, Invalid."""
        found = await queries.code(self.db, tokens.hash_of(code))
        # Looked at before the hash is made, which costs more than a guess may.
        user = await queries.user_by_id(self.db, self._working(found, Purpose.PASSWORD_RESET).user_id)
        model.check_password(password, user.email if user else "", "/new_password")
        hash = await self.passwords.hash(password)

        async def work(tx: Transaction) -> None:
            now, spent = self.db.clock.now(), await self._spend(tx, code, Purpose.PASSWORD_RESET)
            await users.set_password_hash(tx, spent.id, hash, now=now)
            await self.guard.trust(tx, spent.email, client.address)
            await sessions.revoke_sessions(tx, spent.id, "password reset", now=now)
            await revocations.revoke_user(tx, spent.id, now=now)
            tx.send(Outgoing(PasswordChanged(user_id=str(spent.id)), str(spent.id), actor=str(spent.id)))

        await self.db.run(work)

    async def verify(self, code: str) -> None:
        """Raises CodeRefused, UserDisabled, UserLocked."""

        async def work(tx: Transaction) -> None:
            user = await self._spend(tx, code, Purpose.EMAIL_VERIFICATION)
            await users.set_verified(tx, user.id, now=self.db.clock.now())

        await self.db.run(work)

    def _working(self, code: Code | None, purpose: Purpose) -> Code:
        """Raises CodeRefused."""
        if code is None or not model.code_works(code, purpose, now=self.db.clock.now()):
            raise errors.CodeRefused
        return code

    async def _spend(self, tx: Transaction, code: str, purpose: Purpose) -> User:
        found = self._working(await codes.load_code(tx, tokens.hash_of(code)), purpose)
        user = await users.load_user(tx, found.user_id, to_change=True)
        now = self.db.clock.now()
        model.check_can_issue(user, now=now)
        await codes.spend_codes(tx, user.id, purpose, now=now)
        return user

    async def mail(self, tx: Transaction, user_id: UUID, purpose: Purpose) -> None:
        """The user's row is locked first, so that two requests at once are one mail."""
        user, now = await users.load_user(tx, user_id, to_change=True), self.db.clock.now()
        needless = not model.can_come_in(user, now=now) or (
            purpose is Purpose.EMAIL_VERIFICATION and user.email_verified
        )
        if needless or await codes.has_code_since(tx, user.id, purpose, now - BETWEEN):
            return
        code, until = tokens.new_code(), now + self.lifetimes[purpose]
        await codes.spend_codes(tx, user.id, purpose, now=now)
        await codes.insert_code(tx, tokens.hash_of(code), Code(user.id, purpose, until, None), now=now)
        mail = MAILS[purpose](
            user_id=str(user.id), email=user.email, name=user.name, code=code, expires_at=rfc3339(until)
        )
        tx.send(Outgoing(mail, str(user.id), actor=str(user.id)))
