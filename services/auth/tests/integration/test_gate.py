"""One gate in front of every grant: whoever is disabled or locked is stopped at all of them, whatever was proved."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from orderhub_auth import step_up, tokens
from orderhub_auth.store import second_factors, users
from orderhub_chassis.calls import Call, Caller, service_caller
from orderhub_chassis.db import Transaction
from orderhub_chassis.errors import Failure, Kind
from orderhub_contracts.auth.v1 import auth_pb2 as pb
from orderhub_contracts.auth.v1 import mfa_pb2
from orderhub_contracts.auth.v1.mfa_pb2_grpc import MfaServiceStub

EMAIL, PASSWORD = "ada@example.org", "a password for tests"
LOCK = timedelta(hours=1)
STANDINGS = {"disabled": "disabled = true", "locked": "locked_until = $1"}
Grant = Callable[["Ada"], Awaitable[Any]]


class Ada:
    """A user with a session, and what she can ask for."""

    def __init__(self, opened: Any, pair: pb.TokenPair) -> None:
        self.opened, self.pair = opened, pair

    async def __call__(self, method: str, **fields: Any) -> Any:
        request = getattr(pb, f"{method}Request")(**fields)
        call = Call(caller=Caller(self.pair.user.id, frozenset({"customer"})))
        return await self.opened.peer.call(getattr(self.opened.stub, method), request, call=call)

    async def second_step(self) -> Any:
        """Of a login whose password was right while the gate was open."""
        db, now, code = self.opened.db, self.opened.clock.now(), tokens.new_recovery_code()

        async def first_step(tx: Transaction) -> str:
            user = await users.load_user(tx, UUID(self.pair.user.id))
            await users.set_mfa_enabled(tx, user.id, True, now=now)
            await second_factors.replace_recovery_codes(tx, user.id, [tokens.hash_of(code)], now=now)
            return await step_up.ask(tx, user, now=now)

        stub = MfaServiceStub(self.opened.peer.channel)
        request = mfa_pb2.VerifySecondFactorRequest(mfa_token=await db.run(first_step), code=code)
        return await self.opened.peer.call(stub.VerifySecondFactor, request)


GRANTS: dict[str, Grant] = {
    "login": lambda ada: ada("Login", email=EMAIL, password=PASSWORD),
    "refresh": lambda ada: ada("Refresh", refresh_token=ada.pair.refresh_token),
    "second step": lambda ada: ada.second_step(),
    "password change": lambda ada: ada(
        "ChangePassword", current_password=PASSWORD, new_password=f"{PASSWORD} 2"
    ),
}
"""What gives tokens, or a password to get them with. A new way in gets its line here."""


@pytest.fixture
async def ada(opened: Any) -> Ada:
    new = pb.CreateUserRequest(email=EMAIL, password=PASSWORD, roles=["customer"])
    await opened.peer.call(opened.stub.CreateUser, new, call=Call(caller=service_caller("test")))
    login = pb.LoginRequest(email=EMAIL, password=PASSWORD)
    return Ada(opened, await opened.peer.call(opened.stub.Login, login))


@pytest.mark.parametrize("standing", STANDINGS)
@pytest.mark.parametrize("grant", GRANTS)
async def test_who_is_disabled_or_locked_is_stopped_on_every_grant(
    ada: Ada, grant: str, standing: str
) -> None:
    """By the gate itself: the sessions of who is disabled by an operator end besides."""
    until = ada.opened.clock.now() + LOCK
    await ada.opened.db.execute(
        f"update users set {STANDINGS[standing]}", *([until] * (standing == "locked"))
    )
    with pytest.raises(Failure) as caught:
        await GRANTS[grant](ada)
    assert (caught.value.kind, caught.value.code) == (Kind.FORBIDDEN, f"auth.user_{standing}")
    ada.opened.clock.advance(LOCK)
    if standing == "locked":
        await GRANTS[grant](ada)


async def test_who_does_not_know_the_password_does_not_learn_of_the_lock(ada: Ada) -> None:
    await ada.opened.db.execute("update users set locked_until = $1", ada.opened.clock.now() + LOCK)
    with pytest.raises(Failure) as caught:
        await ada("Login", email=EMAIL, password="a wrong password")
    assert caught.value.code == "auth.wrong_credentials"
