"""A user with a second factor, her app, and what auth announces of it: for the tests of second factors."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import pyotp
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from orderhub_auth import totp
from orderhub_chassis import messages
from orderhub_chassis.calls import Call, Caller, service_caller
from orderhub_chassis.errors import Failure
from orderhub_contracts.auth.v1 import auth_pb2, mfa_pb2
from orderhub_contracts.auth.v1.mfa_pb2_grpc import MfaServiceStub
from orderhub_contracts.events.v1 import mfa_pb2 as events
from orderhub_contracts.events.v1.events_pb2 import PasswordResetRequested

PASSWORD, NEW, ADA = "a password for tests", "another long password", "ada@example.org"
SURE = {"current_password": PASSWORD}
EVENTS = (
    events.MfaEnabled,
    events.MfaDisabled,
    events.RecoveryCodeUsed,
    events.RecoveryCodesReplaced,
    events.SecondFactorGuessed,
)
OPERATOR = Call(caller=Caller("0198c0de-0000-7000-8000-000000000001", frozenset({"operator"})))


class App:
    """An authenticator app: it has the secret and a clock, and no code twice."""

    def __init__(self, auth: Auth, secret: str) -> None:
        self.secret = secret
        self._auth, self._totp = auth, pyotp.TOTP(secret)

    def code(self) -> str:
        return self._totp.at(self._auth.clock.now())

    def next_code(self) -> str:
        self._auth.clock.advance(timedelta(seconds=totp.PERIOD))
        return self.code()

    def wrong_code(self) -> str:
        """Of no step that is near, so that it stays wrong while the test lasts."""
        now = totp.step_at(self._auth.clock.now())
        near = {self._totp.generate_otp(now + off) for off in range(-2, 400)}
        return next(code for code in (f"{n:06}" for n in range(1000)) if code not in near)


class Auth:
    """A running auth, a user of it, and what was announced."""

    def __init__(self, opened: Any, bus: asyncpg.Connection | None) -> None:
        self.opened, self.clock, self.db = opened, opened.clock, opened.db
        self._peer, self._stub, self.bus = opened.peer, opened.stub, bus
        self._mfa = MfaServiceStub(opened.peer.channel)

    async def __call__(self, method: str, call: Call | None = None, **fields: Any) -> Any:
        pb, stub = (mfa_pb2, self._mfa) if hasattr(self._mfa, method) else (auth_pb2, self._stub)
        return await self._peer.call(
            getattr(stub, method), getattr(pb, f"{method}Request")(**fields), call=call
        )

    async def user(self, email: str = ADA, *roles: str) -> auth_pb2.User:
        made = {"email": email, "password": PASSWORD, "roles": roles or ["customer"]}
        return await self("CreateUser", Call(caller=service_caller("tests")), **made)

    async def login(self, password: str = PASSWORD, email: str = ADA) -> auth_pb2.TokenPair:
        return await self("Login", email=email, password=password)

    async def step_up(self, password: str = PASSWORD) -> str:
        """The token of a login whose second step is open."""
        failure = await refused(self.login(password))
        assert failure.code == "auth.mfa_required"
        return str(failure.members["mfa_token"])

    async def verify(self, mfa_token: str, code: str) -> auth_pb2.TokenPair:
        return await self("VerifySecondFactor", mfa_token=mfa_token, code=code)

    async def claims(self, pair: auth_pb2.TokenPair) -> dict[str, Any]:
        keys = KeySet.import_key_set(json.loads((await self("GetJwks")).jwks_json))
        return jwt.decode(pair.access_token, keys, algorithms=["ES256"]).claims

    async def as_(self, pair: auth_pb2.TokenPair) -> Call:
        claims = await self.claims(pair)
        return Call(caller=Caller(claims["sub"], frozenset(claims["roles"]), session_id=claims["sid"]))

    async def enrolled(self, call: Call) -> tuple[App, list[str]]:
        """The app of a user who has just switched its second factor on, and its recovery codes."""
        made = await self("EnrollTotp", call, current_password=PASSWORD)
        app = App(self, made.secret)
        return app, list((await self("ConfirmTotp", call, code=app.code())).codes)

    async def announced(self) -> list[Any]:
        return await self._sent(EVENTS)

    async def mailed_code(self) -> str:
        return str((await self._sent((PasswordResetRequested,)))[-1].code)

    def opened_at(self, peer: Any, stub: Any) -> Any:
        """Another replica, on the same database."""
        return dataclasses.replace(self.opened, peer=peer, stub=stub)

    async def _sent(self, wanted: tuple[Any, ...]) -> list[Any]:
        """The oldest first: on the bus, or still in the outbox."""
        rows = await self.db.fetch("select records from outbox")
        rows += await self.bus.fetch("select records from log")
        records = {
            r.id: r
            for row in rows
            for part in messages.unpack(row["records"]).parts
            for r in messages.batch_from_bytes(part.batch).records
        }
        kinds = {kind.DESCRIPTOR.full_name: kind for kind in wanted}
        return [kinds[r.type].FromString(r.payload) for _, r in sorted(records.items()) if r.type in kinds]


@asynccontextmanager
async def opened_with_ada(opened: Any, bus_url: str) -> AsyncIterator[Auth]:
    bus = await asyncpg.connect(bus_url)
    made = Auth(opened, bus)
    await made.user()
    yield made
    await bus.close()


async def refused(work: Awaitable[Any]) -> Failure:
    with pytest.raises(Failure) as caught:
        await work
    return caught.value


async def code_of(work: Awaitable[Any]) -> str:
    """What came of it: the failure's code, or that it was done."""
    try:
        await work
    except Failure as failure:
        return failure.code
    return "done"
