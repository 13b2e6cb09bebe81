"""Mailed codes: a new password for who has lost the old one, and addresses that are verified."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
from joserfc import jws
from orderhub_auth.app import build
from orderhub_chassis import messages
from orderhub_chassis.calls import Call, Caller
from orderhub_chassis.clock import ManualClock, rfc3339
from orderhub_chassis.errors import Failure, Kind
from orderhub_chassis.grpc import client
from orderhub_chassis.service import Surroundings
from orderhub_contracts.auth.v1 import auth_pb2 as pb
from orderhub_contracts.auth.v1.auth_pb2_grpc import AuthServiceStub
from orderhub_contracts.events.v1 import events_pb2

OLD, NEW, ADA = "a password for tests", "another long password", "ada@example.org"
ROWS = "select key, xmin::text as row from guesses"
MAILS = (events_pb2.PasswordResetRequested, events_pb2.EmailVerificationRequested)


class Auth:
    """A running auth, and the mails that it would have sent."""

    def __init__(self, opened: Any, bus: asyncpg.Connection) -> None:
        self._peer, self._stub, self.clock, self.db = opened.peer, opened.stub, opened.clock, opened.db
        self._bus = bus
        self._old = 0

    async def __call__(self, method: str, call: Call | None = None, **fields: Any) -> Any:
        request = getattr(pb, f"{method}Request")(**fields)
        return await self._peer.call(getattr(self._stub, method), request, call=call)

    async def register(self, email: str = ADA) -> pb.TokenPair:
        """A customer who was mailed long enough ago; that mail is not among `mails`."""
        await self("Register", email=email, password=OLD, name="Ada")
        self.clock.advance(timedelta(minutes=1))
        self._old += 1
        return await self("Login", email=email, password=OLD)

    async def mails(self) -> list[Any]:
        """Of all that was announced, the oldest first: on the bus, or still in the outbox."""
        rows = await self.db.fetch("select records from outbox")
        rows += await self._bus.fetch("select records from log")
        records = {
            r.id: r
            for row in rows
            for part in messages.unpack(row["records"]).parts
            for r in messages.batch_from_bytes(part.batch).records
        }
        kinds = {kind.DESCRIPTOR.full_name: kind for kind in MAILS}
        mails = [kinds[r.type].FromString(r.payload) for _, r in sorted(records.items()) if r.type in kinds]
        return mails[self._old :]

    async def reset_code(self, email: str = ADA) -> str:
        await self("RequestPasswordReset", email=email)
        return str((await self.mails())[-1].code)

    async def verification_code(self, pair: pb.TokenPair) -> str:
        await self("RequestEmailVerification", as_user(pair))
        return str((await self.mails())[-1].code)


def as_user(pair: pb.TokenPair) -> Call:
    return Call(caller=Caller(pair.user.id, frozenset(pair.user.roles)))


@pytest.fixture
async def auth(opened: Any, bus_url: str) -> AsyncIterator[Auth]:
    bus = await asyncpg.connect(bus_url)
    yield Auth(opened, bus)
    await bus.close()


async def refused(work: Awaitable[Any]) -> Failure:
    with pytest.raises(Failure) as caught:
        await work
    return caught.value


async def test_who_has_the_mail_sets_a_new_password_once_and_everybody_is_logged_out(auth: Auth) -> None:
    pair, code = await auth.register(), await auth.reset_code()
    await auth("ConfirmPasswordReset", code=code, new_password=NEW)
    assert (await refused(auth("Login", email=ADA, password=OLD))).code == "auth.wrong_credentials"
    assert (await auth("Login", email=ADA, password=NEW)).user.id == pair.user.id
    assert (await refused(auth("Refresh", refresh_token=pair.refresh_token))).code == "auth.refresh_refused"
    again = await refused(auth("ConfirmPasswordReset", code=code, new_password="a third long password"))
    assert (again.kind, again.code, again.errors[0].pointer) == (Kind.INVALID, "auth.code_refused", "/code")


async def test_a_mail_says_for_whom_it_is_and_until_when_and_the_database_has_no_code(auth: Auth) -> None:
    pair = await auth.register()
    code = await auth.reset_code(" ADA@Example.org ")
    [mail] = await auth.mails()
    assert (mail.user_id, mail.email, mail.name) == (pair.user.id, ADA, "Ada")
    assert mail.expires_at == rfc3339(auth.clock.now() + timedelta(hours=1))
    kept = await auth.db.fetchrow("select * from codes")
    assert code.encode() not in kept["code_hash"]
    assert code not in str(dict(kept))


@pytest.mark.parametrize("email", ["eve@example.org", "no address", ""])
async def test_an_unknown_address_is_answered_alike_and_gets_no_mail(auth: Auth, email: str) -> None:
    await auth.register()
    known = await auth("RequestPasswordReset", email=ADA)
    assert await auth("RequestPasswordReset", email=email) == known
    assert [mail.email for mail in await auth.mails()] == [ADA]


@pytest.mark.parametrize("email", [ADA, "eve@example.org"], ids=["known", "unknown"])
async def test_every_request_writes_so_that_no_clock_tells_who_is_there(auth: Auth, email: str) -> None:
    await auth.register()
    for _ in range(2):
        before = {row["key"]: row["row"] for row in await auth.db.fetch(ROWS)}
        await auth("RequestPasswordReset", email=email)
        after = {row["key"]: row["row"] for row in await auth.db.fetch(ROWS)}
        assert len(after.items() - before.items()) == 1


async def test_a_minute_has_one_mail_even_for_requests_of_the_same_moment(auth: Auth) -> None:
    pair = await auth.register()
    await asyncio.gather(*(auth("RequestPasswordReset", email=ADA) for _ in range(5)))
    assert len(await auth.mails()) == 1
    await auth("RequestEmailVerification", as_user(pair))
    assert len(await auth.mails()) == 2, "of each kind"
    auth.clock.advance(timedelta(seconds=61))
    await auth("RequestPasswordReset", email=ADA)
    assert len(await auth.mails()) == 3


async def test_a_newer_code_takes_the_place_of_an_older_one(auth: Auth) -> None:
    await auth.register()
    first = await auth.reset_code()
    auth.clock.advance(timedelta(minutes=2))
    second = await auth.reset_code()
    assert first != second
    assert (
        await refused(auth("ConfirmPasswordReset", code=first, new_password=NEW))
    ).code == "auth.code_refused"
    await auth("ConfirmPasswordReset", code=second, new_password=NEW)


@pytest.mark.parametrize(
    ("purpose", "lifetime"), [("reset", timedelta(hours=1)), ("verify", timedelta(hours=24))]
)
async def test_a_code_that_is_too_late_is_worth_nothing(
    auth: Auth, purpose: str, lifetime: timedelta
) -> None:
    pair = await auth.register()
    if purpose == "reset":
        late = ("ConfirmPasswordReset", {"code": await auth.reset_code(), "new_password": NEW})
    else:
        late = ("ConfirmEmailVerification", {"code": await auth.verification_code(pair)})
    auth.clock.advance(lifetime)
    assert (await refused(auth(late[0], **late[1]))).code == "auth.code_refused"


async def test_a_code_is_for_what_it_was_mailed_for(auth: Auth) -> None:
    pair = await auth.register()
    verification, reset = await auth.verification_code(pair), await auth.reset_code()
    assert (
        await refused(auth("ConfirmPasswordReset", code=verification, new_password=NEW))
    ).code == "auth.code_refused"
    assert (await refused(auth("ConfirmEmailVerification", code=reset))).code == "auth.code_refused"
    await auth("ConfirmEmailVerification", code=verification)


async def test_an_address_is_verified_by_its_mail_and_no_second_one_is_sent(auth: Auth) -> None:
    pair = await auth.register()
    assert not pair.user.email_verified
    await auth("ConfirmEmailVerification", code=await auth.verification_code(pair))
    assert (await auth("GetMe", as_user(pair))).email_verified
    assert (await auth("Login", email=ADA, password=OLD)).user.email_verified
    auth.clock.advance(timedelta(hours=1))
    await auth("RequestEmailVerification", as_user(pair))
    assert len(await auth.mails()) == 1


async def test_a_refused_password_leaves_the_code_as_it_was(auth: Auth) -> None:
    await auth.register()
    code = await auth.reset_code()
    for password, rule in (("short", "length"), (ADA, "password.is_email")):
        failure = await refused(auth("ConfirmPasswordReset", code=code, new_password=password))
        assert (failure.code, failure.errors[0].pointer) == (rule, "/new_password")
    await auth("ConfirmPasswordReset", code=code, new_password=NEW)


async def test_of_two_uses_at_once_one_counts(auth: Auth) -> None:
    await auth.register()
    code = await auth.reset_code()
    answers = await asyncio.gather(
        *(auth("ConfirmPasswordReset", code=code, new_password=f"{NEW} {n}") for n in range(3)),
        return_exceptions=True,
    )
    lost = [answer for answer in answers if isinstance(answer, Failure)]
    assert [failure.code for failure in lost] == ["auth.code_refused"] * 2


async def test_a_disabled_user_gets_no_mail_and_its_codes_open_nothing(auth: Auth) -> None:
    pair = await auth.register()
    reset, verification = await auth.reset_code(), await auth.verification_code(pair)
    await auth.db.execute("update users set disabled = true")
    answers = [
        await refused(auth("ConfirmPasswordReset", code=reset, new_password=NEW)),
        await refused(auth("ConfirmEmailVerification", code=verification)),
    ]
    assert [failure.code for failure in answers] == ["auth.user_disabled"] * 2
    auth.clock.advance(timedelta(minutes=2))
    await auth("RequestPasswordReset", email=ADA)
    assert len(await auth.mails()) == 2


@pytest.mark.parametrize("demanded", [True, False], ids=["demanded", "not demanded"])
async def test_a_token_says_that_the_address_is_not_proved_until_it_is_where_that_is_demanded(
    settings: Any, bus_url: str, demanded: bool
) -> None:
    strict, clock = settings.model_copy(update={"require_verified_email": demanded}), ManualClock()
    bus = await asyncpg.connect(bus_url)
    async with build(strict, Surroundings(clock=clock)) as service:
        address, tokens = f"127.0.0.1:{service.grpc_port}", service.chassis.tokens
        async with client.connect(address, tokens, timedelta(seconds=10)) as peer:
            stub, db = AuthServiceStub(peer.channel), service.chassis.db
            auth = Auth(SimpleNamespace(peer=peer, stub=stub, clock=clock, db=db), bus)
            pair = await auth.register()
            assert roles_of(pair) == ["customer", *["unverified"] * demanded]
            assert list(pair.user.roles) == ["customer"]
            await auth("ConfirmEmailVerification", code=await auth.verification_code(pair))
            refreshed = await auth("Refresh", refresh_token=pair.refresh_token)
            assert roles_of(refreshed) == ["customer"]
    await bus.close()


def roles_of(pair: pb.TokenPair) -> list[str]:
    return list(json.loads(jws.extract_compact(pair.access_token.encode()).payload)["roles"])
