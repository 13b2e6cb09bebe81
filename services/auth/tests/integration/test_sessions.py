"""A user's sessions and password: what is seen of them, and what ends them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from joserfc import jws
from orderhub_auth.passwords import Passwords
from orderhub_chassis import messages
from orderhub_chassis.calls import Call, Caller
from orderhub_chassis.errors import Failure, Kind
from orderhub_contracts.auth.v1 import auth_pb2 as pb
from orderhub_contracts.common.v1.common_pb2 import PageRequest

OLD, NEW = "a password for tests", "another long password"
LAPTOP = pb.Client(address="203.0.113.7", user_agent="Laptop/1")
PHONE = pb.Client(address="198.51.100.4", user_agent="Phone/2")
ADA, EVE = "ada@example.org", "eve@example.org"


def session_of(pair: pb.TokenPair) -> str:
    return str(json.loads(jws.extract_compact(pair.access_token.encode()).payload)["sid"])


class Auth:
    """A running auth; with a pair of tokens a call is that user's, from that session."""

    def __init__(self, opened: Any) -> None:
        self._peer, self._stub, self.clock, self.db = opened.peer, opened.stub, opened.clock, opened.db

    async def __call__(self, method: str, request: Any, pair: pb.TokenPair | None = None) -> Any:
        caller = Caller(pair.user.id, frozenset(pair.user.roles), "", session_of(pair)) if pair else Caller()
        return await self._peer.call(getattr(self._stub, method), request, call=Call(caller=caller))

    async def register(self, email: str = ADA) -> pb.TokenPair:
        await self("Register", pb.RegisterRequest(email=email, password=OLD))
        return await self.login(email, client=LAPTOP)

    async def login(self, email: str = ADA, password: str = OLD, client: pb.Client = PHONE) -> pb.TokenPair:
        return await self("Login", pb.LoginRequest(email=email, password=password, client=client))

    async def refresh(self, pair: pb.TokenPair, client: pb.Client = LAPTOP) -> pb.TokenPair:
        return await self("Refresh", pb.RefreshRequest(refresh_token=pair.refresh_token, client=client))

    async def sessions(self, pair: pb.TokenPair, **page: Any) -> pb.ListSessionsResponse:
        return await self("ListSessions", pb.ListSessionsRequest(page=PageRequest(**page)), pair)

    async def revoke(self, pair: pb.TokenPair, id: str) -> None:
        await self("RevokeSession", pb.RevokeSessionRequest(id=id), pair)

    async def change(self, pair: pb.TokenPair, current: str = OLD, new: str = NEW) -> None:
        request = pb.ChangePasswordRequest(current_password=current, new_password=new)
        await self("ChangePassword", request, pair)

    async def are_live(self, *pairs: pb.TokenPair) -> list[bool]:
        """Looked at, as a refresh would spend the token."""
        query = "select revoked_at is null from sessions where id = $1"
        return [await self.db.fetchval(query, UUID(session_of(pair))) for pair in pairs]


@pytest.fixture
def auth(opened: Any) -> Auth:
    return Auth(opened)


async def refused(work: Awaitable[Any]) -> Failure:
    with pytest.raises(Failure) as caught:
        await work
    return caught.value


async def test_a_user_sees_where_it_is_logged_in_and_which_of_it_this_is(auth: Auth) -> None:
    laptop = await auth.register()
    await auth.register(EVE)
    auth.clock.advance(timedelta(minutes=5))
    phone = await auth.login()
    found = (await auth.sessions(laptop)).items
    assert [(s.id, s.address, s.user_agent, s.current) for s in found] == [
        (session_of(phone), PHONE.address, PHONE.user_agent, False),
        (session_of(laptop), LAPTOP.address, LAPTOP.user_agent, True),
    ]
    assert all(s.created_at == s.last_seen_at < s.expires_at for s in found)
    assert [s.current for s in (await auth.sessions(phone)).items] == [True, False]


async def test_a_refresh_is_when_and_where_a_session_was_last_seen(auth: Auth) -> None:
    pair = await auth.register()
    auth.clock.advance(timedelta(hours=2))
    again = await auth.refresh(pair, PHONE)
    [session] = (await auth.sessions(again)).items
    assert (session.address, session.user_agent, session.current) == (PHONE.address, PHONE.user_agent, True)
    assert session.created_at < session.last_seen_at


async def test_a_client_may_call_itself_anything(auth: Auth) -> None:
    await auth.register()
    told = pb.Client(address="2001:db8::1", user_agent="a\0b\n" + "x" * 500)
    [session] = (await auth.sessions(await auth.login(client=told), limit=1)).items
    assert session.user_agent == "a?b?" + "x" * 296


async def test_sessions_are_paged_and_a_cursor_is_its_users(auth: Auth) -> None:
    first, eve = await auth.register(), await auth.register(EVE)
    others = [await auth.login() for _ in range(2)]
    page = await auth.sessions(first, limit=2)
    assert [s.id for s in page.items] == [session_of(pair) for pair in reversed(others)]
    rest = await auth.sessions(first, limit=2, cursor=page.next_cursor)
    assert ([s.id for s in rest.items], rest.next_cursor) == ([session_of(first)], "")
    assert (await refused(auth.sessions(eve, cursor=page.next_cursor))).code == "cursor.malformed"


async def test_an_ended_session_refreshes_nothing_and_is_not_listed(auth: Auth) -> None:
    laptop, phone = await auth.register(), await auth.login()
    await auth.revoke(laptop, session_of(phone))
    assert (await refused(auth.refresh(phone))).code == "auth.refresh_refused"
    assert [s.id for s in (await auth.sessions(laptop)).items] == [session_of(laptop)]
    assert await auth.are_live(laptop, phone) == [True, False]


async def test_sessions_of_others_ended_ones_and_unknown_ones_do_not_exist(auth: Auth) -> None:
    ada, eve, ended = await auth.register(), await auth.register(EVE), await auth.login(EVE)
    await auth.revoke(eve, session_of(ended))
    answers = [
        await refused(auth.revoke(eve, id))
        for id in (session_of(ada), session_of(ended), str(uuid4()), "no-uuid")
    ]
    assert {(answer.kind, answer.code) for answer in answers} == {(Kind.NOT_FOUND, "auth.session_not_found")}
    assert await auth.are_live(ada, eve) == [True, True]


async def test_logging_out_everywhere_ends_all_of_ones_own(auth: Auth) -> None:
    laptop, phone, eve = await auth.register(), await auth.login(), await auth.register(EVE)
    assert (await auth("LogoutAll", pb.LogoutAllRequest(), laptop)).ended == 2
    assert await auth.are_live(laptop, phone, eve) == [False, False, True]
    assert (await auth("LogoutAll", pb.LogoutAllRequest(), laptop)).ended == 0


async def test_who_has_no_token_has_no_sessions(auth: Auth) -> None:
    for method, request in (
        ("LogoutAll", pb.LogoutAllRequest()),
        ("ListSessions", pb.ListSessionsRequest()),
        ("RevokeSession", pb.RevokeSessionRequest(id=str(uuid4()))),
        ("ChangePassword", pb.ChangePasswordRequest(current_password=OLD, new_password=NEW)),
    ):
        assert (await refused(auth(method, request))).kind is Kind.UNAUTHENTICATED


async def test_a_changed_password_is_the_one_and_ends_all_other_sessions(
    auth: Auth, bus_url: str, eventually: Any
) -> None:
    laptop, phone, eve = await auth.register(), await auth.login(), await auth.register(EVE)
    await auth.change(laptop)
    assert await auth.are_live(laptop, phone, eve) == [True, False, True]
    assert (await refused(auth.login())).code == "auth.wrong_credentials"
    assert (await auth.login(password=NEW)).user.id == laptop.user.id
    assert (await auth.login(EVE)).user.id == eve.user.id
    bus = await asyncpg.connect(bus_url)

    async def announced() -> bool:
        rows = [messages.unpack(row["records"]) for row in await bus.fetch("select records from log")]
        records = [
            r for row in rows for part in row.parts for r in messages.batch_from_bytes(part.batch).records
        ]
        return [r.key for r in records if r.type.endswith("PasswordChanged")] == [laptop.user.id]

    assert await eventually(announced)
    await bus.close()


@pytest.mark.parametrize(
    ("current", "new", "code", "pointer"),
    [
        ("not the password", NEW, "auth.wrong_password", "/current_password"),
        (OLD, "short", "length", "/new_password"),
        (OLD, "x" * 201, "length", "/new_password"),
        (OLD, ADA.upper(), "password.is_email", "/new_password"),
    ],
)
async def test_a_change_that_is_refused_changes_nothing(
    auth: Auth, current: str, new: str, code: str, pointer: str
) -> None:
    laptop, phone = await auth.register(), await auth.login()
    failure = await refused(auth.change(laptop, current, new))
    assert (failure.kind, failure.code, failure.errors[0].pointer) == (Kind.INVALID, code, pointer)
    assert await auth.are_live(laptop, phone) == [True, True]
    assert (await auth.login()).user.id == laptop.user.id


async def test_a_disabled_user_changes_no_password(auth: Auth) -> None:
    pair = await auth.register()
    await auth.db.execute("update users set disabled = true")
    assert (await refused(auth.change(pair))).code == "auth.user_disabled"


async def test_a_user_of_another_issuer_has_no_password_here(auth: Auth) -> None:
    pair = await auth.register()
    pair.user.id = str(uuid4())
    assert (await refused(auth.change(pair))).code == "auth.user_not_found"
    assert not (await auth.sessions(pair)).items


async def test_of_two_changes_at_once_one_wins(auth: Auth) -> None:
    pair = await auth.register()
    answers = await asyncio.gather(
        auth.change(pair, new="the first new one"),
        auth.change(pair, new="the second new one"),
        return_exceptions=True,
    )
    [lost] = [answer for answer in answers if answer is not None]
    assert isinstance(lost, Failure)
    assert lost.code in ("auth.password_just_changed", "auth.wrong_password")


async def test_a_login_that_was_looked_at_before_the_change_is_looked_at_again(
    auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the old password and the new session the password changes: the old one opens nothing."""
    pair, verify, changed = await auth.register(), Passwords.verify, False

    async def slow(self: Passwords, password: str, hash: str | None) -> bool:
        nonlocal changed
        right = await verify(self, password, hash)
        if not changed:
            changed = True
            await auth.change(pair)
        return right

    monkeypatch.setattr(Passwords, "verify", slow)
    assert (await refused(auth.login())).code == "auth.wrong_credentials"
    assert [s.id for s in (await auth.sessions(pair)).items] == [session_of(pair)]
