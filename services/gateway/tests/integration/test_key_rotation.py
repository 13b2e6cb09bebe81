"""A rotation of the signing keys as clients live through it: two replicas of auth, a gateway, and a relying party."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from orderhub_auth.app import build as build_auth
from orderhub_auth.bootstrap import NewUser, create_users
from orderhub_auth.keys import Seal, StoredKey
from orderhub_chassis import metrics
from orderhub_chassis.calls import Call, Caller
from orderhub_chassis.clock import ManualClock
from orderhub_chassis.grpc import client
from orderhub_chassis.hints import Hints
from orderhub_chassis.service import Surroundings
from orderhub_contracts.auth.v1.auth_pb2 import LoginRequest
from orderhub_contracts.auth.v1.auth_pb2_grpc import AuthServiceStub
from orderhub_contracts.auth.v1.keys_pb2 import RotateSigningKeysRequest
from orderhub_contracts.auth.v1.keys_pb2_grpc import KeyServiceStub
from orderhub_gateway.app import build as build_gateway

PASSWORD = "a password for tests"
MINUTE, LIFETIME = timedelta(minutes=1), timedelta(minutes=15)
AHEAD, OVERLAP = timedelta(minutes=7), timedelta(minutes=22)


class Party:
    """A relying party: believes the set that it has for as long as it was told that it may be kept, and looks for no
    key in between."""

    def __init__(self, http: httpx.AsyncClient, clock: ManualClock) -> None:
        self._http = http
        self._clock = clock
        self._until = clock.now()
        self._keys: Any = None

    async def believes(self, token: str) -> bool:
        if self._clock.now() >= self._until:
            answer = await self._http.get("/oauth2/jwks")
            assert (answer.status_code, answer.headers["content-type"]) == (200, "application/jwk-set+json")
            kept = re.fullmatch(r"public, max-age=(\d+)", answer.headers["cache-control"])
            assert kept is not None
            self._until = self._clock.now() + timedelta(seconds=int(kept[1]))
            self._keys = KeySet.import_key_set(answer.json())
        try:
            jwt.decode(token, self._keys, algorithms=["ES256", "RS256"])
        except (JoseError, ValueError):
            return False
        return True


@dataclass(frozen=True)
class Token:
    text: str
    expires_at: datetime


@dataclass
class Shop:
    """Auths on one database, and a gateway in front of them; nobody of them is told what another one does."""

    clock: ManualClock
    http: httpx.AsyncClient
    auths: list[Any]
    doors: list[client.Peer]

    async def login(self, replica: int, user: str = "ada") -> Token:
        peer = self.doors[replica]
        request = LoginRequest(email=f"{user}@example.org", password=PASSWORD)
        pair = await peer.call(AuthServiceStub(peer.channel).Login, request)
        return Token(pair.access_token, self.clock.now() + LIFETIME)

    async def status(self, token: str) -> int:
        answer = await self.http.get("/api/v1/auth/me", headers={"authorization": f"Bearer {token}"})
        return answer.status_code

    async def rotate(self, **body: Any) -> list[dict[str, Any]]:
        operator = {"authorization": f"Bearer {(await self.login(0, 'op')).text}"}
        answer = await self.http.post("/api/v1/admin/keys/rotate", json=body, headers=operator)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    async def taken_back(self) -> None:
        """By an operator who does not come through the gateway, and so shows it no token."""
        operator = Call(caller=Caller("0198c0de-0000-7000-8000-0000000000aa", frozenset({"operator"})))
        request = RotateSigningKeysRequest(algorithm="ES256", now=True)
        stub = KeyServiceStub(self.doors[0].channel)
        await self.doors[0].call(stub.RotateSigningKeys, request, call=operator)

    async def published(self) -> set[str]:
        return {key["kid"] for key in (await self.http.get("/oauth2/jwks")).json()["keys"]}

    def signing(self) -> StoredKey:
        """Of the access tokens, as it lies in the database."""
        (key,) = [key for key in self.auths[0].keys.ring.all() if key.alg == "ES256"]
        return key

    def forged(self, stolen: StoredKey) -> str:
        """By a thief who has opened the key, for a year."""
        later = int((self.clock.now() + timedelta(days=365)).timestamp())
        claims = {
            "iss": "http://127.0.0.1:8080", "aud": "orderhub-api", "sub": "0198c0de-0000-7000-8000-0000000000ff",
            "sid": "s", "roles": ["operator"], "vendor_id": "", "exp": later,
        }  # fmt: skip
        head = {"alg": "ES256", "typ": "at+jwt", "kid": stolen.kid}
        return jwt.encode(head, claims, Seal("k" * 40).open(stolen))

    async def lets_in(self, forged: str) -> bool:
        answer = await self.http.get("/api/v1/admin/users", headers={"authorization": f"Bearer {forged}"})
        assert answer.status_code in (200, 401)
        return answer.status_code == 200


@pytest.fixture
async def open_shop(
    make_settings: Any, settings_for: Any, redis_url: str
) -> AsyncIterator[Callable[..., Awaitable[Shop]]]:
    """`await open_shop(auths=2, linked=False, **settings_of_the_gateway)`; `linked`: hints travel over Redis."""
    gateway_settings, auth_settings = settings_for
    async with AsyncExitStack() as stack:

        async def open_one(*, auths: int = 2, linked: bool = False, **over: Any) -> Shop:
            clock = ManualClock()
            quiet = {"key_reload": timedelta(seconds=100)}
            settings = await auth_settings(make_settings, **quiet)
            people = [
                NewUser("op@example.org", PASSWORD, ["operator"]),
                NewUser("ada@example.org", PASSWORD, ["customer"]),
            ]
            await create_users(settings, people)

            async def around() -> Surroundings:
                hints = Hints()
                if linked:
                    await stack.enter_async_context(hints.over_redis(redis_url))
                return Surroundings(clock=clock, hints=hints)

            running = [
                await stack.enter_async_context(build_auth(settings, await around())) for _ in range(auths)
            ]
            doors = [
                await stack.enter_async_context(
                    client.connect(f"127.0.0.1:{one.grpc_port}", one.chassis.tokens, timedelta(seconds=10))
                )
                for one in running
            ]
            door = gateway_settings(redis_url, {"auth": running[0].grpc_port}, **over)
            several = ",".join(f"127.0.0.1:{one.grpc_port}" for one in running)
            door = door.model_copy(update={"auth_address": several})
            gateway = await stack.enter_async_context(build_gateway(door, await around()))
            http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{gateway.port}", timeout=30, trust_env=False)
            return Shop(clock, await stack.enter_async_context(http), running, doors)

        yield open_one


async def test_no_token_is_refused_at_any_minute_of_a_rotation(open_shop: Any) -> None:
    """Tokens are used at once and just before they end, at the gateway and by a relying party that keeps its set for as
    long as it may; the second replica reads the keys as seldom as the schedule allows."""
    shop = await open_shop()
    party, old, waiting, kids = Party(shop.http, shop.clock), shop.signing(), [], set()
    for minute in range(45):
        if minute == 6:
            await shop.rotate(algorithm="ES256")
        await shop.auths[0].keys.look()
        if minute % 6 == 0:
            await shop.auths[1].keys.look()
        fresh = [await shop.login(replica) for replica in (0, 1)]
        waiting += [await shop.login(replica) for replica in (0, 1)]
        due = [token for token in waiting if token.expires_at - shop.clock.now() <= MINUTE]
        waiting = [token for token in waiting if token not in due]
        for token in [*fresh, *due]:
            assert await shop.status(token.text) == 200, minute
            assert await party.believes(token.text), minute
        kids |= {kid_of(token.text) for token in fresh}
        shop.clock.advance(MINUTE)
    assert len(kids) == 2
    assert old.kid in kids
    assert old.kid not in await shop.published()


def kid_of(token: str) -> str:
    part = token.split(".")[0]
    return str(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["kid"])


async def test_a_retired_key_opens_nothing_when_its_overlap_is_over(open_shop: Any, eventually: Any) -> None:
    """Whatever its tokens say, and although no job has cleaned up."""
    shop = await open_shop(own_keys_refresh=timedelta(seconds=0.05))
    stolen = shop.signing()
    await shop.rotate(algorithm="ES256")
    shop.clock.advance(AHEAD + OVERLAP - timedelta(seconds=1))
    forged = shop.forged(stolen)
    assert await shop.lets_in(forged), "which the emergency is for"
    shop.clock.advance(timedelta(seconds=1))

    async def refused() -> bool:
        return not await shop.lets_in(forged)

    await eventually(refused)
    assert stolen.kid not in await shop.published()


async def test_an_emergency_reaches_the_gateway_by_a_hint(open_shop: Any, eventually: Any) -> None:
    """It would not ask by itself for an hour, and forgets the tokens that it knows."""
    shop = await open_shop(linked=True, own_keys_refresh=timedelta(hours=1))
    before, stolen = await shop.login(1), shop.signing()
    forged = shop.forged(stolen)
    assert (await shop.status(before.text), await shop.lets_in(forged)) == (200, True)

    async def refused() -> bool:
        """A first hint may be lost while the gateway's subscription is under way; nothing but a hint makes it ask."""
        await shop.taken_back()
        return not await shop.lets_in(forged)

    await eventually(refused)
    assert await shop.status(before.text) == 401
    assert stolen.kid not in await shop.published()
    for auth in shop.auths:
        await auth.keys.look()
    for replica in (0, 1):
        shop.clock.advance(timedelta(seconds=6))
        assert await shop.status((await shop.login(replica)).text) == 200


async def test_an_emergency_reaches_the_gateway_without_redis_a_little_later(
    open_shop: Any, eventually: Any
) -> None:
    shop = await open_shop(auths=1, own_keys_refresh=timedelta(seconds=0.05))
    forged = shop.forged(shop.signing())
    assert await shop.lets_in(forged)
    (fresh, *_) = [key for key in await shop.rotate(now=True) if key["algorithm"] == "ES256"]

    async def refused() -> bool:
        return not await shop.lets_in(forged)

    await eventually(refused)
    assert await shop.status((await shop.login(0)).text) == 200
    assert fresh["kid"] in await shop.published()


async def test_a_token_of_the_fresh_key_is_taken_although_the_gateway_has_just_asked(open_shop: Any) -> None:
    """It asks in the background, too; only questions that clients cause are rare."""
    shop = await open_shop(auths=1, own_keys_refresh=timedelta(hours=1))
    await shop.status((await shop.login(0)).text)
    operator = await shop.login(0, "op")
    headers = {"authorization": f"Bearer {operator.text}"}
    answer = await shop.http.post("/api/v1/admin/keys/rotate", json={"now": True}, headers=headers)
    assert answer.status_code == 200
    assert await shop.status((await shop.login(0)).text) == 200


async def test_keys_are_for_operators_and_shown_without_anything_private(open_shop: Any) -> None:
    shop = await open_shop(auths=1)
    for user, status in (("ada", 403), ("op", 200)):
        headers = {"authorization": f"Bearer {(await shop.login(0, user)).text}"}
        answer = await shop.http.get("/api/v1/admin/keys", headers=headers)
        assert answer.status_code == status
    assert {(key["algorithm"], key["state"]) for key in answer.json()["items"]} == {
        ("ES256", "signing"),
        ("RS256", "signing"),
    }
    keys = (await shop.http.get("/oauth2/jwks")).json()["keys"]
    assert {name for key in keys for name in key} == {"kid", "kty", "use", "alg", "crv", "x", "y", "n", "e"}


def questions() -> float:
    """How often auth was asked for its set."""
    samples = [sample for metric in metrics.GRPC_SERVER_SECONDS.collect() for sample in metric.samples]
    return sum(
        s.value for s in samples if s.name.endswith("_count") and s.labels["method"].endswith("GetJwks")
    )


async def test_a_crowd_that_asks_for_the_set_is_one_question_to_auth(open_shop: Any) -> None:
    shop = await open_shop(auths=1, own_keys_refresh=timedelta(hours=1))
    first, before = await shop.http.get("/oauth2/jwks"), questions()
    for _ in range(50):
        assert (await shop.http.get("/oauth2/jwks")).content == first.content
    assert questions() == before
