"""Signing keys on a real database: how they follow each other, with several replicas, and how their private parts lie there."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from orderhub_auth.app import build
from orderhub_auth.errors import KeysNotRead, KeyStaysSealed
from orderhub_auth.keyring import KeyRing
from orderhub_auth.keys import Seal, generate
from orderhub_auth.rotation import Rotation
from orderhub_auth.schedule import Times
from orderhub_auth.settings import Settings
from orderhub_chassis import messages
from orderhub_chassis.calls import Call, Caller, service_caller
from orderhub_chassis.clock import ManualClock
from orderhub_chassis.db import Database
from orderhub_chassis.errors import Failure, Kind
from orderhub_chassis.grpc import client
from orderhub_chassis.hints import Hints
from orderhub_chassis.service import Surroundings
from orderhub_chassis.settings import SettingsError
from orderhub_contracts.auth.v1 import auth_pb2, keys_pb2
from orderhub_contracts.auth.v1.auth_pb2_grpc import AuthServiceStub
from orderhub_contracts.auth.v1.keys_pb2_grpc import KeyServiceStub
from pydantic import SecretStr

OPERATOR = Call(caller=Caller("0198c0de-0000-7000-8000-000000000001", frozenset({"operator"})))
CUSTOMER = Call(caller=Caller("0198c0de-0000-7000-8000-000000000002", frozenset({"customer"})))
JOB = Call(caller=service_caller("test"))
AHEAD, OVERLAP = timedelta(minutes=7), timedelta(minutes=22)


@dataclass
class Replica:
    """One of several auths on one database."""

    peer: client.Peer
    rotation: Rotation
    clock: ManualClock

    async def keys(self) -> list[Any]:
        stub = KeyServiceStub(self.peer.channel)
        answer = await self.peer.call(stub.ListSigningKeys, keys_pb2.ListSigningKeysRequest(), call=OPERATOR)
        return list(answer.items)

    async def states(self, algorithm: str = "ES256") -> dict[str, str]:
        return {key.kid: key.state for key in await self.keys() if key.algorithm == algorithm}

    async def rotate(self, algorithm: str = "", call: Call = OPERATOR, *, now: bool = False) -> list[Any]:
        request = keys_pb2.RotateSigningKeysRequest(algorithm=algorithm, now=now)
        stub = KeyServiceStub(self.peer.channel)
        return list((await self.peer.call(stub.RotateSigningKeys, request, call=call)).items)

    async def published(self) -> dict[str, dict[str, Any]]:
        stub = AuthServiceStub(self.peer.channel)
        answer = await self.peer.call(stub.GetJwks, auth_pb2.GetJwksRequest())
        return {key["kid"]: key for key in json.loads(answer.jwks_json)["keys"]}

    def token(self, algorithm: str = "ES256") -> str:
        now = self.clock.now()
        claims = {"sub": "somebody", "exp": int((now + timedelta(minutes=15)).timestamp())}
        return self.rotation.ring.sign(algorithm, claims, typ="JWT", now=now)

    def signer(self, algorithm: str = "ES256") -> str:
        return kid_of(self.token(algorithm))

    async def believes(self, token: str) -> bool:
        """As a relying party that has just fetched the set does."""
        keys = KeySet.import_key_set({"keys": list((await self.published()).values())})
        try:
            jwt.decode(token, keys, algorithms=["ES256", "RS256"])
        except (JoseError, ValueError):
            return False
        return True


class Deaf(Hints):
    """As in a process without Redis: nobody is told anything, and what a job finds it finds when it looks."""

    def notify(self, name: str) -> None:
        pass


def kid_of(token: str) -> str:
    part = token.split(".")[0]
    return str(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["kid"])


@asynccontextmanager
async def opened(settings: Settings, clock: ManualClock) -> AsyncIterator[Replica]:
    async with build(settings, Surroundings(clock=clock, hints=Deaf())) as service:
        address, tokens = f"127.0.0.1:{service.grpc_port}", service.chassis.tokens
        async with client.connect(address, tokens, timedelta(seconds=10)) as peer:
            yield Replica(peer, service.keys, clock)


@pytest.fixture
async def settings(make_settings: Callable[..., Awaitable[Settings]]) -> Settings:
    """No replica looks by itself while a test runs: the tests say when."""
    quiet: dict[str, Any] = {"key_reload": timedelta(seconds=100), "key_margin": timedelta(seconds=120)}
    weak: dict[str, Any] = {"argon2_memory_kib": 8, "argon2_passes": 1}
    return await make_settings(Settings, "orderhub_auth", key_encryption_key="k" * 40, **weak, **quiet)


@pytest.fixture
async def replicas(settings: Settings) -> AsyncIterator[tuple[Replica, Replica]]:
    clock = ManualClock()
    async with opened(settings, clock) as first, opened(settings, clock) as second:
        yield first, second


@pytest.fixture
async def auth(settings: Settings) -> AsyncIterator[Replica]:
    async with opened(settings, ManualClock()) as one:
        yield one


@pytest.fixture
async def rows(settings: Settings) -> AsyncIterator[Callable[..., Awaitable[list[Any]]]]:
    """`await rows(sql)` on auth's database."""
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    yield connection.fetch
    await connection.close()


async def refused(work: Awaitable[Any]) -> Failure:
    with pytest.raises(Failure) as caught:
        await work
    return caught.value


async def test_a_fresh_installation_has_a_key_of_each_algorithm_that_signs(auth: Replica) -> None:
    shown = {(key.algorithm, key.state, key.signs_until) for key in await auth.keys()}
    assert shown == {("ES256", "signing", ""), ("RS256", "signing", "")}
    published = await auth.published()
    assert {(key["kty"], key["alg"], key["use"]) for key in published.values()} == {
        ("EC", "ES256", "sig"),
        ("RSA", "RS256", "sig"),
    }
    for algorithm in ("ES256", "RS256"):
        assert await auth.believes(auth.token(algorithm))
        assert published[auth.signer(algorithm)]["alg"] == algorithm


async def test_an_rsa_key_has_2048_bits_at_least(auth: Replica) -> None:
    key = auth.rotation.ring.public(auth.signer("RS256"))
    assert key is not None
    assert key.jwk.public_key.key_size >= 2048  # type: ignore[union-attr]


async def test_only_operators_and_services_see_and_rotate_keys(auth: Replica) -> None:
    stub = KeyServiceStub(auth.peer.channel)
    for call in (CUSTOMER, Call()):
        assert (await refused(auth.rotate(call=call))).kind in (Kind.FORBIDDEN, Kind.UNAUTHENTICATED)
        listing = auth.peer.call(stub.ListSigningKeys, keys_pb2.ListSigningKeysRequest(), call=call)
        assert (await refused(listing)).kind in (Kind.FORBIDDEN, Kind.UNAUTHENTICATED)
    assert len(await auth.keys()) == 2
    assert len(await auth.rotate("ES256", JOB)) == 3
    failure = await refused(auth.rotate("HS256"))
    assert (failure.kind, [error.pointer for error in failure.errors]) == (Kind.INVALID, ["/algorithm"])


async def test_an_ordinary_rotation_publishes_signs_and_retires_in_time(auth: Replica) -> None:
    old, token = auth.signer(), auth.token()
    (new,) = {key.kid for key in await auth.rotate("ES256")} - {old, auth.signer("RS256")}
    assert await auth.states() == {new: "prepublished", old: "signing"}
    assert {old, new} <= (await auth.published()).keys()
    auth.clock.advance(AHEAD - timedelta(seconds=1))
    assert auth.signer() == old
    auth.clock.advance(timedelta(seconds=1))
    assert auth.signer() == new
    assert await auth.states() == {new: "signing", old: "retired"}
    auth.clock.advance(OVERLAP - timedelta(seconds=1))
    assert await auth.believes(token)
    assert auth.rotation.ring.public(old) is not None
    auth.clock.advance(timedelta(seconds=1))
    assert not await auth.believes(token)


async def test_a_retired_key_leaves_the_set_in_time_although_no_job_has_run(auth: Replica, rows: Any) -> None:
    """Elsewhere it stayed published until the next rotation."""
    old = auth.signer()
    await auth.rotate("ES256")
    auth.clock.advance(AHEAD + OVERLAP)
    assert old not in await auth.published()
    assert old not in await auth.states()
    assert auth.rotation.ring.public(old) is None
    assert [row["kid"] for row in await rows("select kid from token_keys where kid = $1", old)] == [old]
    await auth.rotation.look()
    assert await rows("select kid from token_keys where kid = $1", old) == []


async def test_the_schedule_rotates_each_algorithm_by_itself(auth: Replica) -> None:
    first = {algorithm: auth.signer(algorithm) for algorithm in ("ES256", "RS256")}
    auth.clock.advance(timedelta(days=10))
    await auth.rotate("ES256")
    auth.clock.advance(timedelta(days=20) - AHEAD - timedelta(seconds=1))
    await auth.rotation.look()
    assert list((await auth.states("RS256")).values()) == ["signing"]
    auth.clock.advance(timedelta(seconds=1))
    await auth.rotation.look()
    assert sorted((await auth.states("RS256")).values()) == ["prepublished", "signing"]
    assert list((await auth.states("ES256")).values()) == ["signing"], "it has been rotated ten days later"
    auth.clock.advance(AHEAD)
    assert auth.signer("RS256") != first["RS256"]


async def test_two_replicas_that_rotate_at_once_make_one_key(replicas: tuple[Replica, Replica]) -> None:
    await asyncio.gather(*(one.rotate() for one in replicas * 3))
    for algorithm in ("ES256", "RS256"):
        assert sorted((await replicas[0].states(algorithm)).values()) == ["prepublished", "signing"]


async def test_two_replicas_whose_schedule_is_due_at_once_make_one_key(
    replicas: tuple[Replica, Replica],
) -> None:
    replicas[0].clock.advance(timedelta(days=30))
    await asyncio.gather(*(one.rotation.look() for one in replicas))
    for algorithm in ("ES256", "RS256"):
        assert sorted((await replicas[1].states(algorithm)).values()) == ["prepublished", "signing"]


async def test_another_replica_signs_with_the_new_key_when_its_turn_comes(
    replicas: tuple[Replica, Replica],
) -> None:
    first, second = replicas
    await first.rotate("ES256")
    await second.rotation.look()
    first.clock.advance(AHEAD)
    assert first.signer() == second.signer()
    assert (await first.states())[first.signer()] == "signing"


async def test_a_replica_hears_of_a_rotation_at_once_where_hints_travel(
    settings: Settings, redis_url: str, eventually: Any
) -> None:
    clock, ours, theirs = ManualClock(), Surroundings().hints, Surroundings().hints
    async with AsyncExitStack() as stack:
        for hints in (ours, theirs):
            await stack.enter_async_context(hints.over_redis(redis_url))
        here, there = [
            await stack.enter_async_context(build(settings, Surroundings(clock=clock, hints=hints)))
            for hints in (ours, theirs)
        ]
        peer = await stack.enter_async_context(
            client.connect(f"127.0.0.1:{here.grpc_port}", here.chassis.tokens, timedelta(seconds=10))
        )
        replica = Replica(peer, here.keys, clock)

        async def heard() -> bool:
            """A hint may be lost while the other one's subscription is under way; then the next one is heard."""
            await replica.rotate("ES256", now=True)
            kids = {key.kid for key in here.keys.ring.published()}
            return kids == {key.kid for key in there.keys.ring.published()}

        await eventually(heard)


async def test_an_emergency_ends_every_token_of_the_algorithm_at_once(
    replicas: tuple[Replica, Replica], rows: Any
) -> None:
    first, second = replicas
    await first.rotate()
    first.clock.advance(AHEAD)
    for one in replicas:
        await one.rotation.look()
    await first.rotate()
    before = await first.published()
    tokens = {algorithm: second.token(algorithm) for algorithm in ("ES256", "RS256")}
    shown = await first.rotate("ES256", now=True)
    (fresh,) = (key for key in shown if key.algorithm == "ES256")
    assert (fresh.state, fresh.kid in before) == ("signing", False)
    for one in replicas:
        kids = {kid for kid, key in (await one.published()).items() if key["alg"] == "ES256"}
        assert kids == {fresh.kid}, "read anew for every question, by a replica that nobody told, too"
        assert not await one.believes(tokens["ES256"])
        assert await one.believes(tokens["RS256"])
        assert await one.believes(one.token("ES256"))
        assert one.signer() == fresh.kid
    assert await rows("select kid from token_keys where revoked_at is not null and sealed <> ''") == []
    await first.rotation.look()
    assert await rows("select 1 from token_keys where revoked_at is not null") == []


async def test_a_rotation_that_is_repeated_under_its_key_is_one(auth: Replica) -> None:
    call = Call(caller=OPERATOR.caller, idempotency_key="once", fingerprint=b"f")
    first, second = [await auth.rotate("ES256", call, now=True) for _ in range(2)]
    assert first == second


async def test_a_rotation_is_announced_with_who_asked_for_it(
    auth: Replica, bus_url: str, eventually: Any
) -> None:
    old = auth.signer()
    await auth.rotate("ES256", now=True)
    bus = await asyncpg.connect(bus_url)

    async def announced() -> bool:
        found = [messages.unpack(row["records"]) for row in await bus.fetch("select records from log")]
        published = b"".join(part.batch for row in found for part in row.parts)
        wanted = (b"SigningKeyRotated", OPERATOR.caller.user_id, auth.signer(), old)
        return all((one if isinstance(one, bytes) else one.encode()) in published for one in wanted)

    assert await eventually(announced)
    await bus.close()


async def test_no_private_key_lies_in_the_database_in_plain(auth: Replica, rows: Any) -> None:
    await auth.rotate()
    dump = "\n".join(row[0] for row in await rows("select token_keys::text from token_keys"))
    seal, secrets = Seal("k" * 40), 0
    for key in auth.rotation.ring.all():
        private = seal.open(key).as_dict(private=True)
        for name in ("d", "p", "q", "dp", "dq", "qi"):
            if name in private:
                secrets += 1
                assert private[name] not in dump
        assert private[{"ES256": "x", "RS256": "n"}[key.alg]] in dump, "the public part does"
    assert secrets == 2 * (1 + 6)


async def test_the_private_part_is_deleted_once_the_key_signs_no_more(auth: Replica, rows: Any) -> None:
    old = auth.signer()
    await auth.rotate("ES256")
    auth.clock.advance(AHEAD)
    await auth.rotation.look()
    assert (await rows("select sealed from token_keys where kid = $1", old))[0][0], "a clock may be behind"
    auth.clock.advance(AHEAD)
    await auth.rotation.look()
    assert (await rows("select sealed from token_keys where kid = $1", old))[0][0] == ""
    assert (await auth.states())[old] == "retired"


def under(settings: Settings, secret: str, *former: str) -> Settings:
    given = {
        "key_encryption_key": SecretStr(secret),
        "former_key_encryption_keys": tuple(SecretStr(one) for one in former),
    }
    return settings.model_copy(update=given)


async def test_another_key_encryption_key_takes_over_without_new_signing_keys(settings: Settings) -> None:
    old, new = "k" * 40, "n" * 40
    async with opened(settings, ManualClock()) as auth:
        token, kid = auth.token(), auth.signer()
    async with opened(under(settings, new, "x" * 40, old), ManualClock()) as auth:
        assert (auth.signer(), await auth.believes(token)) == (kid, True)
    # They were sealed again at the start, so the former secret is needed no more.
    async with opened(under(settings, new), ManualClock()) as auth:
        assert auth.signer() == kid
    with pytest.raises(SettingsError, match="ORDERHUB_AUTH_KEY_ENCRYPTION_KEY: signing key") as caught:
        async with opened(settings, ManualClock()):
            pass
    assert "ORDERHUB_AUTH_FORMER_KEY_ENCRYPTION_KEYS" in str(caught.value)
    assert old not in str(caught.value)


async def test_replicas_of_the_former_secret_go_on_while_the_others_are_replaced(settings: Settings) -> None:
    """They have opened their keys; a new one that they cannot open is a warning until its turn comes."""
    clock = ManualClock()
    async with opened(settings, clock) as before, opened(under(settings, "n" * 40, "k" * 40), clock) as after:
        await before.rotation.look()
        assert before.signer() == after.signer()
        await after.rotate("ES256")
        await before.rotation.look()
        assert before.signer() == after.signer()
        clock.advance(AHEAD)
        with pytest.raises(KeyStaysSealed):
            before.signer()
        with pytest.raises(KeyStaysSealed):  # and /readyz says so
            await before.rotation.look()
        assert await before.believes(after.token())


async def test_a_key_that_was_changed_in_the_database_is_not_used(settings: Settings, rows: Any) -> None:
    async with opened(settings, ManualClock()):
        pass
    await rows(
        "update token_keys set sealed = (select sealed from token_keys where alg = 'RS256') where alg = 'ES256'"
    )
    with pytest.raises(SettingsError, match="sealed with another key"):
        async with opened(settings, ManualClock()):
            pass


async def test_the_set_is_answered_from_memory_while_the_database_is_away_and_still_by_time(
    auth: Replica, settings: Settings
) -> None:
    old = auth.signer()
    await auth.rotate("ES256")
    parts = urlsplit(settings.database_url.get_secret_value())
    name = parts.path.removeprefix("/")
    admin = await asyncpg.connect(urlunsplit(parts._replace(path="/postgres")))
    await admin.execute(f"alter database {name} with allow_connections false")
    await admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", name)
    assert len(await auth.published()) == 3
    auth.clock.advance(AHEAD + OVERLAP)
    assert old not in await auth.published()
    await admin.execute(f"alter database {name} with allow_connections true")
    await admin.close()


async def test_nothing_is_signed_with_keys_that_were_read_too_long_ago(opened_db: Database) -> None:
    now, seal = opened_db.clock.now(), Seal("k" * 40)
    long_ago = Times(ahead=timedelta(0), overlap=timedelta(minutes=22), period=timedelta(days=1))
    ring = KeyRing(opened_db, seal, long_ago, timedelta(minutes=15))
    claims = {"exp": int(now.timestamp()) + 900}
    with pytest.raises(KeysNotRead):
        ring.sign("ES256", claims, typ="JWT", now=now)
    ring.take([generate("ES256", seal, now=now, signs_from=now)])
    await asyncio.sleep(0)
    with pytest.raises(KeysNotRead):
        ring.sign("ES256", claims, typ="JWT", now=now)


async def test_nothing_is_signed_that_outlives_the_overlap(opened_db: Database) -> None:
    now, seal = opened_db.clock.now(), Seal("k" * 40)
    times = Times(ahead=timedelta(minutes=7), overlap=timedelta(minutes=22), period=timedelta(days=1))
    ring = KeyRing(opened_db, seal, times, timedelta(minutes=15))
    ring.take([generate("ES256", seal, now=now, signs_from=now)])
    assert ring.sign("ES256", {"exp": int(now.timestamp()) + 900}, typ="JWT", now=now)
    with pytest.raises(ValueError, match="longer than"):
        ring.sign("ES256", {"exp": int(now.timestamp()) + 901}, typ="JWT", now=now)


@pytest.fixture
async def opened_db(settings: Settings) -> AsyncIterator[Database]:
    url = settings.database_url.get_secret_value()
    async with Database.open(url, service="auth", size=2, clock=ManualClock()) as db:
        yield db
