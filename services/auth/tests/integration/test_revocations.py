"""Whatever ends before its time is in Redis at once, and a Redis that forgot it is told again."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws
from orderhub import embedded
from orderhub_auth.app import build
from orderhub_auth.publisher import Publisher
from orderhub_auth.settings import Settings
from orderhub_auth.store import revocations
from orderhub_chassis.calls import Call, Caller, service_caller
from orderhub_chassis.clock import ManualClock
from orderhub_chassis.db import Database
from orderhub_chassis.grpc import client
from orderhub_chassis.service import Chassis, Surroundings
from orderhub_contracts.auth.v1 import auth_pb2 as pb
from orderhub_contracts.auth.v1.auth_pb2_grpc import AuthServiceStub
from orderhub_contracts.revocations import KEPT, Kind, lease_of, revocation, stream_of
from redis.asyncio import Redis

ISSUER = "http://127.0.0.1:8080"
OLD, NEW, ADA = "a password for tests", "another long password", "ada@example.org"


def claims(pair: pb.TokenPair) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(jws.extract_compact(pair.access_token.encode()).payload)
    return found


@dataclass
class Auth:
    """A running auth, and the Redis that is this test's alone."""

    peer: client.Peer
    stub: AuthServiceStub
    chassis: Chassis
    clock: ManualClock
    redis: Redis

    @property
    def db(self) -> Database:
        return self.chassis.db

    async def __call__(self, method: str, pair: pb.TokenPair | None = None, **fields: Any) -> Any:
        caller = service_caller("test")
        if pair:
            caller = Caller(pair.user.id, frozenset(pair.user.roles), "", claims(pair)["sid"])
        request = getattr(pb, f"{method}Request")(**fields)
        return await self.peer.call(getattr(self.stub, method), request, call=Call(caller=caller))

    async def register(self) -> pb.TokenPair:
        await self("Register", email=ADA, password=OLD)
        return await self.login()

    async def login(self, password: str = OLD) -> pb.TokenPair:
        return await self("Login", email=ADA, password=password)

    async def revoked(self) -> set[tuple[Kind, str, int]]:
        """What Redis has."""
        entries: Any = await self.redis.xrange(stream_of(ISSUER))
        found = [revocation(fields) for _, fields in entries]
        return {(one.kind, one.value, one.epoch) for one in found if one}


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[embedded.Redis]:
    server = embedded.start_redis(tmp_path / "redis")
    yield server
    server.stop()


@pytest.fixture
async def open_auth(
    settings: Settings, cache: embedded.Redis
) -> AsyncIterator[Callable[..., Awaitable[Auth]]]:
    """`await open_auth()`: one more auth on the same database and the same Redis."""
    async with AsyncExitStack() as stack:
        clock, url = ManualClock(), cache.url()
        given = settings.model_copy(update={"redis_url": type(settings.redis_url)(url)})

        async def open_one() -> Auth:
            service = await stack.enter_async_context(build(given, Surroundings(clock=clock)))
            address, tokens = f"127.0.0.1:{service.grpc_port}", service.chassis.tokens
            connecting = client.connect(address, tokens, timedelta(seconds=10))
            peer = await stack.enter_async_context(connecting)
            redis = await stack.enter_async_context(Redis.from_url(url))
            return Auth(peer, AuthServiceStub(peer.channel), service.chassis, clock, redis)

        yield open_one


@pytest.fixture
async def auth(open_auth: Any) -> Auth:
    opened: Auth = await open_auth()
    return opened


async def logout(auth: Auth, laptop: Any, phone: Any) -> None:
    await auth("Logout", refresh_token=phone.refresh_token)


async def revoke_one(auth: Auth, laptop: Any, phone: Any) -> None:
    await auth("RevokeSession", laptop, id=claims(phone)["sid"])


async def reuse_a_refresh_token(auth: Auth, laptop: Any, phone: Any) -> None:
    await auth("Refresh", refresh_token=phone.refresh_token)
    auth.clock.advance(timedelta(minutes=5))
    with pytest.raises(Exception, match="not valid any more"):
        await auth("Refresh", refresh_token=phone.refresh_token)


async def change_the_password(auth: Auth, laptop: Any, phone: Any) -> None:
    await auth("ChangePassword", laptop, current_password=OLD, new_password=NEW)


ONE_SESSION = (logout, revoke_one, reuse_a_refresh_token, change_the_password)


@pytest.mark.parametrize("cause", ONE_SESSION, ids=lambda cause: cause.__name__)
async def test_the_access_tokens_of_a_session_end_with_it_and_those_of_others_do_not(
    auth: Auth, eventually: Any, cause: Callable[..., Awaitable[None]]
) -> None:
    laptop = await auth.register()
    phone = await auth.login()
    await cause(auth, laptop, phone)
    await eventually(lambda: auth.revoked(), within=1)
    assert await auth.revoked() == {(Kind.SESSION, claims(phone)["sid"], 0)}


async def logout_everywhere(auth: Auth, user: Any, pair: Any) -> None:
    await auth("LogoutAll", pair)


async def disable(auth: Auth, user: Any, pair: Any) -> None:
    await auth("UpdateUser", id=user.id, disabled=True)


ALL_SESSIONS = ((logout_everywhere, False), (disable, True))


@pytest.mark.parametrize(("cause", "whole_user"), ALL_SESSIONS, ids=lambda one: getattr(one, "__name__", ""))
async def test_all_sessions_of_a_user_end_together(
    auth: Auth, eventually: Any, cause: Callable[..., Awaitable[None]], whole_user: bool
) -> None:
    pairs = [await auth.register(), await auth.login()]
    await cause(auth, pairs[0].user, pairs[0])
    wanted = {(Kind.SESSION, claims(pair)["sid"], 0) for pair in pairs}
    if whole_user:
        wanted.add((Kind.USER, pairs[0].user.id, 1))

    async def are_there() -> bool:
        return await auth.revoked() == wanted

    await eventually(are_there, within=1)


async def test_other_roles_end_all_tokens_that_say_the_old_ones_and_no_session(
    auth: Auth, eventually: Any
) -> None:
    pair = await auth.register()
    assert claims(pair)["epoch"] == 0
    roles = pb.UpdateUserRequest.Standing(roles=["courier", "customer"])
    await auth("UpdateUser", id=pair.user.id, standing=roles)
    await eventually(lambda: auth.revoked(), within=1)
    assert await auth.revoked() == {(Kind.USER, pair.user.id, 1)}
    again = await auth("Refresh", refresh_token=pair.refresh_token)
    assert (claims(again)["epoch"], claims(again)["roles"]) == (1, ["courier", "customer"])
    await auth("UpdateUser", id=pair.user.id, name="Ada", standing=roles)
    assert claims(await auth.login())["epoch"] == 1, "what changes no right ends no token"


async def test_what_is_rolled_back_is_not_revoked(auth: Auth) -> None:
    pair = await auth.register()

    async def undone(tx: Any) -> None:
        await revocations.revoke(tx, Kind.TOKEN, claims(pair)["jti"], now=auth.clock.now())
        raise LookupError

    with pytest.raises(LookupError):
        await auth.db.run(undone)
    await auth("Logout", refresh_token=pair.refresh_token)
    assert await auth.db.fetchval("select count(*) from revocations") == 1


async def test_what_was_committed_before_a_crash_is_written_at_the_next_start(
    open_auth: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(publisher: Publisher) -> bool:
        return False

    with monkeypatch.context() as patched:
        patched.setattr(Publisher, "work", nothing)
        crashed = await open_auth()
        pair = await crashed.register()
        await crashed("Logout", refresh_token=pair.refresh_token)
    assert await crashed.revoked() == set()
    again = await open_auth()
    await eventually(lambda: again.revoked())
    assert await again.revoked() == {(Kind.SESSION, claims(pair)["sid"], 0)}


async def test_a_redis_that_was_emptied_gets_everything_again_that_still_matters(
    auth: Auth, eventually: Any
) -> None:
    early = await auth.register()
    await auth("Logout", refresh_token=early.refresh_token)
    auth.clock.advance(KEPT + timedelta(seconds=1))
    late = await auth.login()
    await auth("Logout", refresh_token=late.refresh_token)

    async def is_known() -> bool:
        return (Kind.SESSION, claims(late)["sid"], 0) in await auth.revoked()

    await eventually(is_known)
    await auth.redis.flushall()
    await eventually(is_known)
    assert await auth.revoked() == {(Kind.SESSION, claims(late)["sid"], 0)}


async def test_a_redis_that_comes_back_from_an_older_state_gets_everything_again(
    auth: Auth, eventually: Any, cache: embedded.Redis, tmp_path: Path
) -> None:
    pair = await auth.register()
    await eventually(lambda: auth.redis.get(lease_of(ISSUER)))
    await auth.redis.save()
    await auth("Logout", refresh_token=pair.refresh_token)
    await eventually(lambda: auth.revoked())
    os.kill(cache.pid, signal.SIGKILL)
    cache.child.wait()
    again = embedded.start_redis(tmp_path / "redis")
    try:
        await auth.redis.connection_pool.disconnect()
        auth.redis.connection_pool = Redis.from_url(again.url()).connection_pool
        await eventually(lambda: auth.revoked())
        assert await auth.revoked() == {(Kind.SESSION, claims(pair)["sid"], 0)}
    finally:
        again.stop()


async def test_what_ends_while_redis_is_away_waits_for_it_and_auth_goes_on(
    auth: Auth, eventually: Any, cache: embedded.Redis, tmp_path: Path
) -> None:
    pair, other = await auth.register(), await auth.login()
    cache.stop()
    await auth("Logout", refresh_token=pair.refresh_token)
    assert auth.chassis.readiness.ok
    assert (await auth("Refresh", refresh_token=other.refresh_token)).access_token
    again = embedded.start_redis(tmp_path / "redis")
    try:
        auth.redis.connection_pool = Redis.from_url(again.url()).connection_pool
        await eventually(lambda: auth.revoked())
        assert await auth.revoked() == {(Kind.SESSION, claims(pair)["sid"], 0)}
    finally:
        again.stop()


async def test_redis_keeps_a_revocation_no_longer_than_it_matters(auth: Auth, eventually: Any) -> None:
    pair = await auth.register()
    await auth("Logout", refresh_token=pair.refresh_token)
    await eventually(lambda: auth.revoked())
    assert 0 < await auth.redis.ttl(stream_of(ISSUER)) <= KEPT.total_seconds()
    now = auth.clock.now() + KEPT
    assert await auth.db.run(lambda tx: revocations.prune_revocations(tx, before=now)) == 0
    later = now + timedelta(seconds=1)
    assert await auth.db.run(lambda tx: revocations.prune_revocations(tx, before=later)) == 1
