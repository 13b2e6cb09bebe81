"""Auth as its callers see it: over gRPC, on a real database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from orderhub_auth import bootstrap
from orderhub_auth.app import build
from orderhub_auth.bootstrap import NewUser
from orderhub_auth.errors import EmailTaken
from orderhub_auth.settings import Settings
from orderhub_chassis import messages
from orderhub_chassis.calls import Call, Caller, service_caller
from orderhub_chassis.clock import ManualClock
from orderhub_chassis.errors import Conflict, Failure, Kind
from orderhub_chassis.grpc import client
from orderhub_chassis.service import Surroundings
from orderhub_chassis.settings import SettingsError
from orderhub_contracts.auth.v1 import auth_pb2 as pb
from orderhub_contracts.auth.v1.auth_pb2_grpc import AuthServiceStub

PASSWORD = "a password for tests"
OPERATOR = Call(caller=Caller("0198c0de-0000-7000-8000-000000000001", frozenset({"operator"})))
SECRET_PARTS = {"d", "p", "q", "dp", "dq", "qi"}
SEED = Call(caller=service_caller("launcher"))


class Auth:
    """A running auth and a stub to it."""

    def __init__(self, peer: client.Peer, clock: ManualClock) -> None:
        self._peer = peer
        self._stub = AuthServiceStub(peer.channel)
        self.clock = clock

    async def __call__(self, method: str, request: Any, call: Call | None = None) -> Any:
        return await self._peer.call(getattr(self._stub, method), request, call=call)

    async def register(self, email: str = "ada@example.org", password: str = PASSWORD) -> pb.TokenPair:
        await self("Register", pb.RegisterRequest(email=email, password=password, name="Ada"))
        return await self.login(email, password)

    async def login(self, email: str = "ada@example.org", password: str = PASSWORD) -> pb.TokenPair:
        return await self("Login", pb.LoginRequest(email=email, password=password))

    async def refresh(self, pair: pb.TokenPair) -> pb.TokenPair:
        return await self("Refresh", pb.RefreshRequest(refresh_token=pair.refresh_token))

    async def claims(self, token: str) -> dict[str, Any]:
        answer = await self("GetJwks", pb.GetJwksRequest())
        keys = KeySet.import_key_set(json.loads(answer.jwks_json))
        return jwt.decode(token, keys, algorithms=["ES256"]).claims


@asynccontextmanager
async def running(settings: Settings, clock: ManualClock | None = None) -> AsyncIterator[Auth]:
    clock = clock or ManualClock()
    async with (
        build(settings, Surroundings(clock=clock)) as service,
        client.connect(
            f"127.0.0.1:{service.grpc_port}", service.chassis.tokens, timedelta(seconds=10)
        ) as peer,
    ):
        yield Auth(peer, clock)


@pytest.fixture
async def auth(settings: Settings) -> AsyncIterator[Auth]:
    async with running(settings) as opened:
        yield opened


async def refused(work: Awaitable[Any]) -> Failure:
    with pytest.raises(Failure) as caught:
        await work
    return caught.value


async def test_a_registered_customer_can_log_in_whatever_the_case_of_the_address(auth: Auth) -> None:
    registered = await auth.register(" Ada@Example.org")
    again = await auth.login("ADA@example.ORG")
    assert registered.user.id == again.user.id
    assert (again.user.email, list(again.user.roles)) == ("ada@example.org", ["customer"])
    assert (again.token_type, again.expires_in) == ("Bearer", 900)


async def test_an_access_token_carries_the_claims_that_services_rely_on(auth: Auth) -> None:
    pair = await auth.register()
    claims = await auth.claims(pair.access_token)
    assert claims["sub"] == pair.user.id
    assert (claims["iss"], claims["aud"]) == ("http://127.0.0.1:8080", "orderhub-api")
    assert (claims["roles"], claims["vendor_id"], claims["email_verified"]) == (["customer"], "", False)
    assert claims["exp"] - claims["iat"] == 900
    assert UUID(claims["sid"])
    assert UUID(claims["jti"])


async def test_a_token_says_how_and_when_its_session_was_authenticated_also_after_a_refresh(
    auth: Auth,
) -> None:
    pair, at = await auth.register(), auth.clock.now()
    auth.clock.advance(timedelta(minutes=10))
    for token in (pair.access_token, (await auth.refresh(pair)).access_token):
        claims = await auth.claims(token)
        assert (claims["amr"], claims["auth_time"]) == (["pwd"], int(at.timestamp()))


async def test_a_session_of_code_that_knew_no_authentication_counts_as_one_by_password(
    settings: Settings,
) -> None:
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    async with running(settings) as auth:
        pair = await auth.register()
        await connection.execute("update sessions set amr = default, authenticated_at = null")
        claims = await auth.claims((await auth.refresh(pair)).access_token)
        assert (claims["amr"], claims["auth_time"]) == (["pwd"], int(auth.clock.now().timestamp()))
    await connection.close()


async def test_unknown_address_and_wrong_password_get_the_same_answer(auth: Auth) -> None:
    await auth.register()
    wrong = await refused(auth.login(password="another password"))
    unknown = await refused(auth.login("eve@example.org"))
    broken = await refused(auth.login("no address\0"))
    assert {(f.kind, f.code, f.detail) for f in (wrong, unknown, broken)} == {
        (Kind.UNAUTHENTICATED, "auth.wrong_credentials", "the e-mail address or the password is wrong")
    }


async def test_a_refresh_token_rotates_and_the_session_stays_the_same(auth: Auth) -> None:
    first = await auth.register()
    second = await auth.refresh(first)
    assert second.refresh_token != first.refresh_token
    sessions = [(await auth.claims(pair.access_token))["sid"] for pair in (first, second)]
    assert sessions[0] == sessions[1]


async def test_concurrent_refreshes_within_the_grace_time_all_succeed(auth: Auth) -> None:
    first = await auth.register()
    pairs = await asyncio.gather(*(auth.refresh(first) for _ in range(3)))
    assert len({pair.refresh_token for pair in pairs}) == 3
    for pair in pairs:
        await auth.refresh(pair)


async def test_a_spent_token_that_comes_back_later_ends_the_whole_session(auth: Auth) -> None:
    first = await auth.register()
    second = await auth.refresh(first)
    other_session = await auth.login()
    auth.clock.advance(timedelta(seconds=21))
    assert (await refused(auth.refresh(first))).code == "auth.refresh_refused"
    assert (await refused(auth.refresh(second))).code == "auth.refresh_refused"
    await auth.refresh(other_session)


async def test_the_grace_time_does_not_allow_endless_copies(auth: Auth) -> None:
    first = await auth.register()
    latest = [await auth.refresh(first) for _ in range(4)][-1]
    await refused(auth.refresh(first))
    assert (await refused(auth.refresh(latest))).code == "auth.refresh_refused"


async def test_a_session_that_is_not_refreshed_expires(auth: Auth) -> None:
    pair = await auth.register()
    auth.clock.advance(timedelta(days=29))
    pair = await auth.refresh(pair)
    auth.clock.advance(timedelta(days=30))
    assert (await refused(auth.refresh(pair))).code == "auth.refresh_refused"


async def test_logout_ends_the_session_and_may_be_repeated(auth: Auth) -> None:
    pair = await auth.register()
    for token in (pair.refresh_token, pair.refresh_token, "ohr_unknown", ""):
        await auth("Logout", pb.LogoutRequest(refresh_token=token))
    assert (await refused(auth.refresh(pair))).code == "auth.refresh_refused"


async def test_me_is_the_caller_and_nobody_else(auth: Auth) -> None:
    pair = await auth.register()
    me = await auth("GetMe", pb.GetMeRequest(), Call(caller=Caller(pair.user.id, frozenset({"customer"}))))
    assert me == pair.user
    assert (await refused(auth("GetMe", pb.GetMeRequest()))).kind is Kind.UNAUTHENTICATED
    assert (await refused(auth("GetMe", pb.GetMeRequest(), OPERATOR))).code == "auth.user_not_found"


async def test_only_operators_and_services_make_and_list_users(auth: Auth) -> None:
    request = pb.CreateUserRequest(email="op@example.org", password=PASSWORD, roles=["operator"])
    customer = Call(caller=Caller("u", frozenset({"customer"})))
    for method, message in (("CreateUser", request), ("ListUsers", pb.ListUsersRequest())):
        assert (await refused(auth(method, message, customer))).kind is Kind.FORBIDDEN
        assert (await refused(auth(method, message))).kind is Kind.UNAUTHENTICATED
    for number, call in enumerate((OPERATOR, SEED)):
        request.email = f"op{number}@example.org"
        assert (await auth("CreateUser", request, call)).email_verified


async def test_a_user_is_made_once_per_idempotency_key(auth: Auth) -> None:
    request = pb.CreateUserRequest(email="op@example.org", password=PASSWORD, roles=["operator"])
    call = Call(caller=OPERATOR.caller, idempotency_key="k1", fingerprint=b"f")
    first, second = [await auth("CreateUser", request, call) for _ in range(2)]
    assert first == second
    assert (await refused(auth("CreateUser", request, OPERATOR))).code == "auth.email_taken"


async def test_users_are_listed_by_role_page_by_page_newest_first(auth: Auth) -> None:
    for number in range(5):
        await auth.register(f"c{number}@example.org")
    vendor = pb.CreateUserRequest(
        email="v@example.org", password=PASSWORD, roles=["vendor"], vendor_id=str(UUID(int=7))
    )
    await auth("CreateUser", vendor, SEED)
    request = pb.ListUsersRequest(role="customer")
    request.page.limit = 2
    emails, pages = [], 0
    while True:
        answer = await auth("ListUsers", request, OPERATOR)
        emails += [user.email for user in answer.items]
        pages += 1
        if not answer.next_cursor:
            break
        request.page.cursor = answer.next_cursor
    assert pages == 3
    assert emails == [f"c{number}@example.org" for number in (4, 3, 2, 1, 0)]
    request.role = "vendor"
    assert (await refused(auth("ListUsers", request, OPERATOR))).code == "cursor.malformed"


async def test_bad_fields_are_named(auth: Auth) -> None:
    for request, pointer in (
        (pb.RegisterRequest(email="x", password=PASSWORD), "/email"),
        (pb.RegisterRequest(email="x@example.org", password="short"), "/password"),
        (pb.RegisterRequest(email="x@example.org", password=PASSWORD, name="\0"), "/name"),
    ):
        failure = await refused(auth("Register", request))
        assert failure.kind is Kind.INVALID
        assert [error.pointer for error in failure.errors] == [pointer]


async def test_the_signing_key_survives_a_restart_and_lies_sealed_in_the_database(settings: Settings) -> None:
    async with running(settings) as auth:
        token = (await auth.register()).access_token
    async with running(settings) as auth:
        assert (await auth.claims(token))["email_verified"] is False
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    rows = await connection.fetch("select * from token_keys order by alg")
    await connection.close()
    assert [row["alg"] for row in rows] == ["ES256", "RS256"]
    for row in rows:
        assert SECRET_PARTS.isdisjoint(json.loads(row["public_jwk"]))
        assert row["sealed"].count(".") == 4  # JWE compact serialisation


async def test_another_key_encryption_key_stops_the_start_and_names_the_variable(settings: Settings) -> None:
    async with running(settings):
        pass
    other = settings.model_copy(update={"key_encryption_key": type(settings.key_encryption_key)("o" * 40)})
    with pytest.raises(SettingsError, match="ORDERHUB_AUTH_KEY_ENCRYPTION_KEY"):
        async with running(other):
            pass


async def test_two_replicas_that_start_at_once_share_one_key(settings: Settings) -> None:
    async with running(settings) as first, running(settings) as second:
        assert await second.claims((await first.register()).access_token)


async def test_stronger_hash_parameters_take_hold_at_the_next_login(settings: Settings) -> None:
    async with running(settings) as auth:
        await auth.register()
    stronger = settings.model_copy(update={"argon2_memory_kib": 16})
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    async with running(stronger) as auth:
        await auth.login()
        assert "m=16," in await connection.fetchval("select password_hash from users")
        await auth.login()
    await connection.close()


async def test_a_disabled_user_gets_no_token_on_any_way(settings: Settings) -> None:
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    async with running(settings) as auth:
        pair = await auth.register()
        await connection.execute("update users set disabled = true")
        assert (await refused(auth.login())).code == "auth.user_disabled"
        assert (await refused(auth.refresh(pair))).code == "auth.user_disabled"
    await connection.close()


async def test_too_many_logins_at_once_are_told_to_come_later(settings: Settings) -> None:
    narrow = settings.model_copy(
        update={"password_queue": 1, "password_threads": 1, "argon2_memory_kib": 65_536}
    )
    async with running(narrow) as auth:
        answers = await asyncio.gather(
            *(auth.login(f"{n}@example.org") for n in range(10)), return_exceptions=True
        )
        codes = {answer.code: answer.retry_after for answer in answers if isinstance(answer, Failure)}
        assert codes == {"auth.busy": 1, "auth.wrong_credentials": None}


async def test_ended_sessions_are_pruned(settings: Settings) -> None:
    clock = ManualClock()
    async with running(settings, clock) as auth:
        await auth.register()
    clock.advance(timedelta(days=31))
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    async with running(settings, clock) as auth:
        await auth.login()
        deadline = asyncio.get_running_loop().time() + 10
        while await connection.fetchval("select count(*) from refresh_tokens") != 1:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.01)
    await connection.close()


async def test_the_first_operator_is_made_without_a_running_auth(settings: Settings) -> None:
    operator = await bootstrap.create_operator(settings, "Root@example.org", PASSWORD)
    with pytest.raises(EmailTaken):
        await bootstrap.create_operator(settings, "root@example.org", PASSWORD)
    async with running(settings) as auth:
        pair = await auth.login("root@example.org")
        assert (pair.user.id, list(pair.user.roles)) == (str(operator.id), ["operator"])


async def test_demo_users_are_made_anew_with_the_passwords_of_today(settings: Settings) -> None:
    vendor = str(UUID(int=9))
    for password in ("the first password", "the second password"):
        made = await bootstrap.ensure_users(
            settings,
            [
                NewUser("c@example.org", password, ["customer"]),
                NewUser("v@example.org", password, ["vendor"], vendor),
            ],
        )
        assert len({user.id for user in made}) == 2
    async with running(settings) as auth:
        assert (await auth.login("v@example.org", "the second password")).user.vendor_id == vendor
        await refused(auth.login("c@example.org", "the first password"))


async def test_users_are_made_together_or_not_at_all(settings: Settings) -> None:
    twice = [
        NewUser("a@example.org", PASSWORD, ["customer"]),
        NewUser("A@example.org", PASSWORD, ["customer"]),
    ]
    with pytest.raises(Conflict):
        await bootstrap.create_users(settings, twice)
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    assert await connection.fetchval("select count(*) from users") == 0
    await connection.close()


async def test_a_registration_is_announced_on_the_bus(auth: Auth, bus_url: str, eventually: Any) -> None:
    pair = await auth.register()
    bus = await asyncpg.connect(bus_url)

    async def announced() -> bool:
        rows = [messages.unpack(row["records"]) for row in await bus.fetch("select records from log")]
        published = b"".join(part.batch for row in rows for part in row.parts)
        return pair.user.id.encode() in published and b"UserRegistered" in published

    assert await eventually(announced)
    await bus.close()
