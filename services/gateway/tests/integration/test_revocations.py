"""An access token that ends before its time is refused by every gateway within a second; its neighbours go on."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from joserfc import jws
from orderhub import embedded
from orderhub_auth.app import build as build_auth
from orderhub_auth.model import Code, Purpose
from orderhub_auth.publisher import Publisher
from orderhub_auth.store import codes, revocations, sessions
from orderhub_auth.tokens import OWN_CLIENT, hash_of
from orderhub_chassis.calls import Call, InternalTokens, service_caller
from orderhub_chassis.clock import SystemClock
from orderhub_chassis.grpc import client as grpc_client
from orderhub_chassis.service import Surroundings
from orderhub_contracts.auth.v1 import auth_pb2
from orderhub_contracts.auth.v1.auth_pb2_grpc import AuthServiceStub
from orderhub_contracts.revocations import Kind, lease_of
from orderhub_gateway import revocations as known_revocations
from orderhub_gateway.app import build as build_gateway
from orderhub_gateway.revocation_feed import Feed
from orderhub_gateway.revocations import SILENCE
from redis.asyncio import Redis

PASSWORD, NEW = "a password for tests", "another long password"
ISSUER = "http://127.0.0.1:8080"
WITHIN = 1.0
"""Seconds that a revocation may take to every gateway."""


@dataclass
class Session:
    """A login: its tokens, as the user has them."""

    pair: dict[str, Any]

    @property
    def header(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.pair['access_token']}"}

    @property
    def user_id(self) -> str:
        return str(self.pair["user"]["id"])

    @property
    def claims(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(jws.extract_compact(self.pair["access_token"].encode()).payload)
        return found


@dataclass
class Installation:
    """One auth, two gateways, and a Redis that is this test's alone."""

    auth: Any
    gateways: list[httpx.AsyncClient]
    open_gateway: Callable[[], Awaitable[httpx.AsyncClient]]
    open_auth: Callable[[], Awaitable[Any]]

    async def __call__(self, method: str, path: str, at: int = 0, **options: Any) -> httpx.Response:
        return await self.gateways[at].request(method, f"/api/v1{path}", **options)

    async def user(self, role: str = "customer") -> str:
        """The address of a new one."""
        email = f"{role}-{uuid4().hex}@example.org"
        async with _peer(self.auth.grpc_port) as peer:
            request = auth_pb2.CreateUserRequest(email=email, password=PASSWORD, roles=[role])
            call = Call(caller=service_caller("test"))
            await peer.call(AuthServiceStub(peer.channel).CreateUser, request, call=call)
        return email

    async def login(self, email: str, password: str = PASSWORD) -> Session:
        body = {"email": email, "password": password}
        answer = await self("POST", "/auth/login", json=body)
        assert answer.status_code == 200, answer.text
        return Session(answer.json())

    async def refresh(self, session: Session) -> httpx.Response:
        return await self("POST", "/auth/refresh", json={"refresh_token": session.pair["refresh_token"]})

    async def told(self, session: Session) -> list[tuple[int, str]]:
        """What each gateway answers to its access token."""
        answers = [await one.get("/api/v1/auth/me", headers=session.header) for one in self.gateways]
        return [(answer.status_code, answer.json().get("code", "")) for answer in answers]

    async def is_good(self, session: Session) -> bool:
        return {status for status, _ in await self.told(session)} == {200}

    async def is_revoked(self, session: Session) -> bool:
        return set(await self.told(session)) == {(401, "auth.token_revoked")}

    async def in_auth(self, work: Callable[[Any], Awaitable[Any]]) -> None:
        await self.auth.chassis.db.run(work)


def _peer(port: int) -> Any:
    tokens = InternalTokens("i" * 40, SystemClock())
    return grpc_client.connect(f"127.0.0.1:{port}", tokens, timedelta(seconds=10))


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[embedded.Redis]:
    server = embedded.start_redis(tmp_path / "redis")
    yield server
    server.stop()


@pytest.fixture
async def home(make_settings: Any, cache: embedded.Redis, settings_for: Any) -> AsyncIterator[Installation]:
    settings_of_gateway, settings_of_auth = settings_for
    async with AsyncExitStack() as stack:
        # A reused refresh token is theft at once.
        given = await settings_of_auth(make_settings, redis_url=cache.url(), refresh_grace=timedelta(0))

        async def open_auth() -> Any:
            return await stack.enter_async_context(build_auth(given, Surroundings()))

        auth = await open_auth()

        async def open_gateway() -> httpx.AsyncClient:
            settings = settings_of_gateway(cache.url(), {"auth": auth.grpc_port})
            gateway = await stack.enter_async_context(build_gateway(settings, Surroundings()))
            url = f"http://127.0.0.1:{gateway.port}"
            http = httpx.AsyncClient(base_url=url, timeout=30, trust_env=False)
            return await stack.enter_async_context(http)

        yield Installation(auth, [await open_gateway() for _ in range(2)], open_gateway, open_auth)


# --- causes: `laptop` goes on where its user does, `phone` is what ends ---


async def logout(home: Installation, laptop: Session, phone: Session) -> None:
    body = {"refresh_token": phone.pair["refresh_token"]}
    assert (await home("POST", "/auth/logout", json=body)).status_code == 204


async def revoke_from_the_list(home: Installation, laptop: Session, phone: Session) -> None:
    path = f"/auth/sessions/{phone.claims['sid']}"
    assert (await home("DELETE", path, headers=laptop.header)).status_code == 204


async def reuse_a_refresh_token(home: Installation, laptop: Session, phone: Session) -> None:
    assert (await home.refresh(phone)).status_code == 200
    assert (await home.refresh(phone)).status_code == 401


async def change_the_password(home: Installation, laptop: Session, phone: Session) -> None:
    body = {"current_password": PASSWORD, "new_password": NEW}
    answer = await home("POST", "/auth/password/change", json=body, headers=laptop.header)
    assert answer.status_code == 204, answer.text


async def revoke_the_token(home: Installation, laptop: Session, phone: Session) -> None:
    now = home.auth.chassis.clock.now()
    await home.in_auth(lambda tx: revocations.revoke(tx, Kind.TOKEN, phone.claims["jti"], now=now))


ONE = (logout, revoke_from_the_list, reuse_a_refresh_token, change_the_password, revoke_the_token)


@pytest.mark.parametrize("cause", ONE, ids=lambda cause: cause.__name__)
async def test_the_tokens_of_a_session_that_ends_are_refused_everywhere_and_others_go_on(
    home: Installation, eventually: Any, cause: Callable[..., Awaitable[None]]
) -> None:
    email = await home.user()
    laptop, phone, stranger = (
        await home.login(email),
        await home.login(email),
        await home.login(await home.user()),
    )
    for session in (laptop, phone, stranger):
        assert await home.is_good(session), "both gateways know the token now"
    await cause(home, laptop, phone)
    await eventually(lambda: home.is_revoked(phone), within=WITHIN)
    assert await home.is_good(laptop)
    assert await home.is_good(stranger)


async def logout_everywhere(home: Installation, laptop: Session) -> None:
    assert (await home("POST", "/auth/logout-all", headers=laptop.header)).status_code == 204


async def reset_the_password(home: Installation, laptop: Session) -> None:
    now, code = home.auth.chassis.clock.now(), uuid4().hex
    mailed = Code(UUID(laptop.user_id), Purpose.PASSWORD_RESET, now + timedelta(hours=1), None)
    await home.in_auth(lambda tx: codes.insert_code(tx, hash_of(code), mailed, now=now))
    body = {"code": code, "new_password": NEW}
    answer = await home("POST", "/auth/password/reset/confirm", json=body)
    assert answer.status_code == 204, answer.text


async def by_an_operator(home: Installation, laptop: Session, change: dict[str, Any]) -> None:
    operator = await home.login(await home.user("operator"))
    answer = await home("PATCH", f"/admin/users/{laptop.user_id}", json=change, headers=operator.header)
    assert answer.status_code == 200, answer.text


async def disable_the_user(home: Installation, laptop: Session) -> None:
    await by_an_operator(home, laptop, {"disabled": True})


async def lock_the_user(home: Installation, laptop: Session) -> None:
    until = home.auth.chassis.clock.now() + timedelta(hours=1)
    await by_an_operator(home, laptop, {"locked_until": until.isoformat()})


async def change_the_roles(home: Installation, laptop: Session) -> None:
    await by_an_operator(home, laptop, {"roles": ["courier", "customer"]})


ALL = (logout_everywhere, reset_the_password, disable_the_user, lock_the_user, change_the_roles)


@pytest.mark.parametrize("cause", ALL, ids=lambda cause: cause.__name__)
async def test_all_tokens_of_a_user_end_together_and_those_of_others_go_on(
    home: Installation, eventually: Any, cause: Callable[..., Awaitable[None]]
) -> None:
    email = await home.user()
    sessions, stranger = [await home.login(email) for _ in range(2)], await home.login(await home.user())
    for session in (*sessions, stranger):
        assert await home.is_good(session)
    await cause(home, sessions[0])
    for session in sessions:
        await eventually(lambda session=session: home.is_revoked(session), within=WITHIN)
    assert await home.is_good(stranger)


async def test_who_got_other_roles_refreshes_into_them_at_once(home: Installation, eventually: Any) -> None:
    laptop = await home.login(await home.user())
    await change_the_roles(home, laptop)
    await eventually(lambda: home.is_revoked(laptop), within=WITHIN)
    again = await home.refresh(laptop)
    assert again.status_code == 200, again.text
    assert again.json()["user"]["roles"] == ["courier", "customer"]
    assert await home.is_good(Session(again.json()))


async def test_all_tokens_of_a_client_end_together(home: Installation, eventually: Any) -> None:
    laptop = await home.login(await home.user())
    now = home.auth.chassis.clock.now()
    await home.in_auth(lambda tx: revocations.revoke(tx, Kind.CLIENT, OWN_CLIENT, now=now))
    await eventually(lambda: home.is_revoked(laptop), within=WITHIN)


async def test_a_gateway_that_starts_knows_what_was_revoked_before(
    home: Installation, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on, read = asyncio.Event(), Feed.run

    async def later(feed: Feed) -> None:
        await goes_on.wait()
        await read(feed)

    email = await home.user()
    laptop, phone = await home.login(email), await home.login(email)
    await logout(home, laptop, phone)
    await eventually(lambda: home.is_revoked(phone), within=WITHIN)
    monkeypatch.setattr(Feed, "run", later)
    monkeypatch.setattr(known_revocations, "FIRST_LIST", 30.0)
    home.gateways = [await home.open_gateway()]
    report = await home.gateways[0].get("/readyz")
    assert (report.status_code, "revocations" in report.json()["reasons"]) == (503, True)
    early = asyncio.create_task(home.told(phone))
    assert (await home("GET", "/auth/me")).json()["code"] != "auth.revocation_unknown"
    assert not early.done(), "what comes before the first list waits for it"
    goes_on.set()
    assert await early == [(401, "auth.token_revoked")]
    assert await home.is_good(laptop)


async def test_what_auth_committed_before_it_was_killed_is_revoked_by_the_next_one(
    home: Installation, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(publisher: Publisher) -> bool:
        return False

    email = await home.user()
    laptop, phone = await home.login(email), await home.login(email)
    assert await home.is_good(phone)
    with monkeypatch.context() as patched:
        patched.setattr(Publisher, "work", killed)
        await asyncio.sleep(0)
        await home.in_auth(lambda tx: _end_unseen(tx, phone))
        assert await home.is_good(phone), "nobody has told the gateways"
    await home.open_auth()
    await eventually(lambda: home.is_revoked(phone))
    assert await home.is_good(laptop)


async def _end_unseen(tx: Any, session: Session) -> None:
    """As a logout does, and without the hint that would wake this process' publisher."""
    await sessions.revoke_session(tx, UUID(session.claims["sid"]), "logout", now=SystemClock().now())
    tx.hinted.clear()


async def test_a_gateway_whose_own_loop_stood_still_closes_nothing(
    home: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = await home.login(await home.user("operator"))
    assert await home.is_good(operator)
    monkeypatch.setattr(known_revocations, "SILENCE", 1.0)
    time.sleep(1.5)  # noqa: ASYNC251 - this is what stands still
    assert (await home("GET", "/admin/users", headers=operator.header)).status_code == 200


# --- Redis away, restarted, emptied ---


async def until_unknown(home: Installation, session: Session, eventually: Any) -> None:
    async def is_closed() -> bool:
        answers = [await one.get("/api/v1/admin/users", headers=session.header) for one in home.gateways]
        return {answer.status_code for answer in answers} == {503}

    await eventually(is_closed, within=10 * SILENCE)


async def test_a_redis_that_is_stopped_and_started_keeps_all_gateways_right(
    home: Installation, eventually: Any, cache: embedded.Redis, tmp_path: Path
) -> None:
    email = await home.user()
    early, late, good = [await home.login(email) for _ in range(3)]
    operator = await home.login(await home.user("operator"))
    for session in (early, late, good, operator):
        assert await home.is_good(session)
    await revoke_from_the_list(home, good, early)
    await eventually(lambda: home.is_revoked(early), within=WITHIN)
    cache.stop()
    await until_unknown(home, operator, eventually)
    assert await home.is_revoked(early), "what was known stays known"
    assert await home.is_good(good), "reads go on by the last list"
    answer = await home("GET", "/admin/users", headers=operator.header)
    assert (answer.json()["code"], answer.headers["retry-after"]) == ("auth.revocation_unknown", "1")

    async def is_noted() -> bool:
        notes = (await home.gateways[0].get("/readyz")).json().get("notes", {})
        return "not known" in notes.get("revocations", "")

    await eventually(is_noted)
    await revoke_from_the_list(home, good, late)
    assert await home.is_good(late), "only auth's database knows"
    again = embedded.start_redis(tmp_path / "redis")
    try:
        await eventually(lambda: home.is_revoked(late))
        assert await home.is_revoked(early)
        assert await home.is_good(good)

        async def is_open() -> bool:
            answer = await home("GET", "/admin/users", headers=operator.header)
            return answer.status_code == 200

        await eventually(is_open)
        assert not await is_noted()
    finally:
        again.stop()


async def test_a_redis_that_was_emptied_or_restored_makes_no_revoked_token_good(
    home: Installation, eventually: Any, cache: embedded.Redis, tmp_path: Path
) -> None:
    email = await home.user()
    first, second, third, good = [await home.login(email) for _ in range(4)]
    await logout(home, good, first)
    await eventually(lambda: home.is_revoked(first), within=WITHIN)
    async with Redis.from_url(cache.url()) as redis:
        await redis.flushall()
        await eventually(lambda: redis.get(lease_of(ISSUER)))
        home.gateways.append(await home.open_gateway())
        assert await home.is_revoked(first), "the newest gateway has only what auth wrote again"
        await logout(home, good, second)
        await eventually(lambda: home.is_revoked(second), within=WITHIN)
        await redis.save()
    await logout(home, good, third)
    await eventually(lambda: home.is_revoked(third), within=WITHIN)
    os.kill(cache.pid, signal.SIGKILL)
    cache.child.wait()
    again = embedded.start_redis(tmp_path / "redis")
    try:
        home.gateways.append(await home.open_gateway())
        for session in (first, second, third):
            await eventually(lambda session=session: home.is_revoked(session))
        assert await home.is_good(good)
    finally:
        again.stop()
