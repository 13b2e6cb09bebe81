"""Second factors: an authenticator app and the recovery codes beside it, from enrolment until they are switched off.

Whoever changes them shows the password first, so that nobody without it comes near the codes or makes guessing them slow
for their owner.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from google.protobuf.message import Message
from orderhub_chassis.db import Database, Transaction
from orderhub_chassis.errors import Failure
from orderhub_chassis.messages import Outgoing
from orderhub_chassis.telemetry import log
from orderhub_contracts.events.v1 import mfa_pb2 as events

from orderhub_auth import errors, model, queries, tokens, totp
from orderhub_auth.guarding import Guard
from orderhub_auth.model import User
from orderhub_auth.sealing import Sealing, StaysSealed
from orderhub_auth.store import second_factors, sessions, users
from orderhub_auth.store.second_factors import Authenticator
from orderhub_auth.totp import Verdict

ISSUER: Final = "OrderHub"
"""What an authenticator app shows beside the address."""
PURPOSE: Final = "orderhub-auth authenticators"
RECOVERY_CODES: Final = 10
FRESH: Final = timedelta(minutes=5)
"""A login of so long ago stands for the password."""
TO_CONFIRM: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What goes into the app. Nobody is asked for a code before one was confirmed."""

    secret: str
    uri: str


@dataclass(frozen=True, slots=True)
class SecondFactors:
    db: Database
    guard: Guard
    sealing: Sealing

    async def enroll(self, user_id: UUID, session_id: UUID | None, password: str) -> Enrolment:
        """A secret for the app; an earlier one that was not confirmed is forgotten.

        Raises what `_known` raises, UserDisabled and MfaAlreadyEnabled.
        """
        known, secret = await self._known(user_id, session_id, password), totp.new_secret()
        sealed = self.sealing.close(str(user_id), secret)

        async def work(tx: Transaction) -> None:
            await self._to_change(tx, known, enabled=False)
            await second_factors.set_authenticator(
                tx, user_id, sealed, self.sealing.current, now=self.db.clock.now()
            )

        await self.db.run(work)
        return Enrolment(secret, totp.uri(secret, known.email, ISSUER))

    async def confirm(self, user_id: UUID, session_id: UUID | None, code: str) -> list[str]:
        """Switches the second factor on by a first code, and gives the recovery codes. The user's other sessions end:
        they were opened by a password alone.

        Raises UserNotFound, UserDisabled, MfaAlreadyEnabled, NothingToConfirm, WrongCode and CodesTooFast.
        """
        fresh = _new_codes()

        async def work(tx: Transaction) -> Failure | None:
            user, now = await self._to_change(tx, user_id, enabled=False), self.db.clock.now()
            found = await second_factors.load_authenticator(tx, user_id)
            if found is None or now - found.created_at >= TO_CONFIRM:
                return errors.NothingToConfirm()
            if refused := await self._judge(tx, found, code):
                return refused
            await second_factors.confirm_authenticator(tx, user_id, now=now)
            await users.set_mfa_enabled(tx, user_id, True, now=now)
            await self._set_codes(tx, user_id, fresh)
            await sessions.revoke_sessions(tx, user_id, "second factor enabled", now=now, but=session_id)
            if session_id:
                await sessions.set_amr(tx, session_id, user_id, model.TWO_FACTORS)
            tx.send(_told(events.MfaEnabled(user_id=str(user.id)), user_id))
            return None

        _raise(await self.db.run(work))
        return fresh

    async def disable(self, user_id: UUID, session_id: UUID | None, password: str, code: str) -> None:
        """By the password and a code. Raises what `_known` raises, UserDisabled, MfaNotEnabled, WrongCode, CodesTooFast."""
        known = await self._known(user_id, session_id, password)

        async def work(tx: Transaction) -> Failure | None:
            user = await self._to_change(tx, known, enabled=True)
            if refused := await self.check(tx, user, code):
                return refused
            await self._switch_off(tx, user_id, by=user_id)
            return None

        _raise(await self.db.run(work))

    async def renew_codes(
        self, user_id: UUID, session_id: UUID | None, password: str, code: str
    ) -> list[str]:
        """New recovery codes; the old ones are void. Raises what `disable` raises."""
        known, fresh = await self._known(user_id, session_id, password), _new_codes()

        async def work(tx: Transaction) -> Failure | None:
            user = await self._to_change(tx, known, enabled=True)
            if refused := await self.check(tx, user, code):
                return refused
            await self._set_codes(tx, user_id, fresh)
            tx.send(_told(events.RecoveryCodesReplaced(user_id=str(user_id)), user_id))
            return None

        _raise(await self.db.run(work))
        return fresh

    async def switch_off(self, user_id: UUID, *, by: UUID) -> None:
        """An operator's: for who has lost the app and the codes. Raises UserNotFound."""

        async def work(tx: Transaction) -> None:
            user = await users.load_user(tx, user_id, to_change=True)
            if user.mfa_enabled:
                await self._switch_off(tx, user_id, by=by)

        await self.db.run(work)

    async def check(self, tx: Transaction, user: User, code: str) -> Failure | None:
        """None where the code, of the app or a recovery code, is right; it is used up then.

        A failure is the caller's to raise after the commit: what a wrong code leaves behind has to stay.
        Raises SecretStaysSealed.
        """
        if not totp.is_code(totp.plain(code)):
            return await self._check_recovery_code(tx, user, code)
        found = await second_factors.load_authenticator(tx, user.id)
        if found is None or found.confirmed_at is None:
            return errors.WrongCode()
        return await self._judge(tx, found, code)

    async def seal_again(self) -> int:
        """Seals with the key of today what former ones have sealed; returns how many."""

        async def work(tx: Transaction) -> int:
            found = await second_factors.load_sealed_by(tx, self.sealing.former)
            again = {user_id: self._sealed_again(user_id, sealed) for user_id, sealed in found}
            opened = {user_id: sealed for user_id, sealed in again.items() if sealed}
            await second_factors.reseal(tx, opened, self.sealing.current)
            return len(opened)

        done = await self.db.run(work) if self.sealing.former else 0
        if done:
            log("auth").info("auth.sealed_again", authenticators=done)
        return done

    def _sealed_again(self, user_id: UUID, sealed: str) -> str | None:
        """None for one that is broken; its user is told so, and the others are none the worse."""
        try:
            return self.sealing.close(str(user_id), self.sealing.open(str(user_id), sealed))
        except StaysSealed:
            log("auth").error("auth.stays_sealed", user_id=str(user_id))
            return None

    async def _known(self, user_id: UUID, session_id: UUID | None, password: str) -> User:
        """The user, who has just logged in or shows its password.

        Raises UserNotFound, PasswordNeeded, WrongPassword, GuessedTooOften.
        """
        user = await queries.user_by_id(self.db, user_id)
        if user is None:
            raise errors.UserNotFound
        if password:
            if not await self.guard.own(user, password):
                raise errors.WrongPassword
        elif not await queries.is_fresh(self.db, user_id, session_id, self.db.clock.now() - FRESH):
            raise errors.PasswordNeeded
        return user

    async def _to_change(self, tx: Transaction, known: User | UUID, *, enabled: bool) -> User:
        """Raises UserNotFound, UserDisabled, PasswordJustChanged, and MfaAlreadyEnabled or MfaNotEnabled for the other state."""
        user_id = known.id if isinstance(known, User) else known
        user = await users.load_user(tx, user_id, to_change=True)
        if isinstance(known, User) and user.password_hash != known.password_hash:
            raise errors.PasswordJustChanged
        model.check_can_issue(user, now=self.db.clock.now())
        if user.mfa_enabled != enabled:
            raise errors.MfaAlreadyEnabled if user.mfa_enabled else errors.MfaNotEnabled
        return user

    async def _judge(self, tx: Transaction, found: Authenticator, code: str) -> Failure | None:
        now, secret = self.db.clock.now(), self._opened(found.user_id, found.sealed)
        verdict, standing = totp.judge(secret, found.standing, totp.plain(code), now=now)
        if verdict is Verdict.TOO_SOON:
            return errors.CodesTooFast(totp.waiting(standing, now=now))
        await second_factors.save_standing(tx, found.user_id, standing)
        if verdict is Verdict.RIGHT:
            return None
        if totp.begins_to_wait(standing):
            tx.send(_told(events.SecondFactorGuessed(user_id=str(found.user_id)), found.user_id))
        return errors.WrongCode()

    async def _check_recovery_code(self, tx: Transaction, user: User, code: str) -> Failure | None:
        hash, now = tokens.hash_of(tokens.plain_recovery_code(code)), self.db.clock.now()
        if not await second_factors.spend_recovery_code(tx, user.id, hash, now=now):
            return errors.WrongCode()
        left = await second_factors.recovery_codes_left(tx, user.id)
        tx.send(_told(events.RecoveryCodeUsed(user_id=str(user.id), left=left), user.id))
        return None

    async def _set_codes(self, tx: Transaction, user_id: UUID, codes: list[str]) -> None:
        hashes = [tokens.hash_of(code) for code in codes]
        await second_factors.replace_recovery_codes(tx, user_id, hashes, now=self.db.clock.now())

    async def _switch_off(self, tx: Transaction, user_id: UUID, *, by: UUID) -> None:
        await second_factors.delete_factors(tx, user_id)
        await users.set_mfa_enabled(tx, user_id, False, now=self.db.clock.now())
        tx.send(_told(events.MfaDisabled(user_id=str(user_id), by_operator=by != user_id), user_id, by))

    def _opened(self, user_id: UUID, sealed: str) -> str:
        """Raises SecretStaysSealed."""
        try:
            return self.sealing.open(str(user_id), sealed)
        except StaysSealed as error:
            raise errors.SecretStaysSealed from error


def _new_codes() -> list[str]:
    return [tokens.new_recovery_code() for _ in range(RECOVERY_CODES)]


def _raise(refused: Failure | None) -> None:
    if refused is not None:
        raise refused


def _told(event: Message, user_id: UUID, by: UUID | None = None) -> Outgoing:
    return Outgoing(event, str(user_id), actor=str(by or user_id))
