"""The second step of a login: a token that stands for the right password, until a code comes with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from orderhub_chassis.db import Database, Transaction
from orderhub_chassis.errors import Failure

from orderhub_auth import errors, model, tokens
from orderhub_auth.issuing import Granted, Issuing
from orderhub_auth.mfa import SecondFactors
from orderhub_auth.model import Client, SecondStep, User
from orderhub_auth.store import second_factors, users

LIFETIME: Final = timedelta(minutes=5)


async def ask(tx: Transaction, user: User, *, now: datetime) -> str:
    """The token of a login whose password was right: it is good for the second step alone, and while that password is."""
    token = tokens.new_mfa_token()
    step = SecondStep(user.id, tokens.hash_of(user.password_hash), now + LIFETIME)
    await second_factors.insert_step(tx, tokens.hash_of(token), step, now=now)
    return token


@dataclass(frozen=True, slots=True)
class StepUp:
    db: Database
    issuing: Issuing
    factors: SecondFactors

    async def verify(self, mfa_token: str, code: str, client: Client) -> Granted:
        """Raises MfaTokenRefused, UserDisabled, WrongCode, CodesTooFast, SecretStaysSealed."""
        answer = await self.db.run(lambda tx: self._verify(tx, tokens.hash_of(mfa_token), code, client))
        if isinstance(answer, Failure):
            raise answer
        return answer

    async def _verify(self, tx: Transaction, hash: bytes, code: str, client: Client) -> Granted | Failure:
        """A failure is returned, so that a wrong code stays counted."""
        now, step = self.db.clock.now(), await second_factors.load_step(tx, hash)
        if step is None or not model.second_step_works(step, now=now):
            return errors.MfaTokenRefused()
        user = await users.load_user(tx, step.user_id)
        changed = tokens.hash_of(user.password_hash) != step.password_digest
        if changed or not model.second_factor_needed(user):
            return errors.MfaTokenRefused()
        model.check_can_issue(user, now=self.db.clock.now())
        if refused := await self.factors.check(tx, user, code):
            if isinstance(refused, errors.WrongCode):
                await second_factors.count_guess(tx, hash)
            return refused
        await second_factors.spend_step(tx, hash, now=now)
        return await self.issuing.open_session(tx, user, client, amr=model.TWO_FACTORS)
