"""Auth and the gateway, in this process, on a real PostgreSQL and a real Redis, in a thread of their own.

In this process, so that a defect can be planted in them; in a thread, so that a browser and libraries that know nothing
of asyncio can talk to them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from oidcc.op import Provider
from oidcc.person import Person
from oidcc.receiver import listening
from orderhub.ports import free_port
from orderhub_auth.app import build as build_auth
from orderhub_auth.settings import Settings as AuthSettings
from orderhub_chassis.bus import postgres as postgres_bus
from orderhub_chassis.calls import Call, InternalTokens, service_caller
from orderhub_chassis.clock import ManualClock
from orderhub_chassis.grpc import client as grpc_client
from orderhub_chassis.service import Surroundings
from orderhub_contracts.auth.v1 import auth_pb2
from orderhub_contracts.auth.v1.auth_pb2_grpc import AuthServiceStub
from orderhub_gateway.app import build as build_gateway
from orderhub_gateway.settings import Settings as GatewaySettings

NOBODY: Final = "127.0.0.1:9"
PASSWORD: Final = "a password for tests"
ADA: Final = Person("ada@example.org", PASSWORD)
GRACE: Final = Person("grace@example.org", PASSWORD)
OLIVE: Final = Person("olive@example.org", PASSWORD)
ROLES: Final = {ADA: "customer", GRACE: "customer", OLIVE: "operator"}
ABOUT: Final = {
    "phone": "+49 30 1234567",
    "address": {"street_address": "Invalidenstr. 1", "locality": "Berlin", "postal_code": "10115", "country": "DE"},
}  # fmt: skip
KEYS: Final = {"internal_key": "i" * 40, "cursor_key": "c" * 40}
GENEROUS: Final = {
    "rate_per_address": 10_000, "burst_per_address": 100_000,
    "rate_per_principal": 10_000, "burst_per_principal": 100_000,
    "auth_rate_per_address": 10_000, "auth_burst_per_address": 100_000,
    "login_rate_per_account": 10_000, "login_burst_per_account": 100_000,
}  # fmt: skip
"""Hundreds of logins from one address are no attack here."""
MakeDatabase = Callable[..., Awaitable[str]]
OpenDatabases = Callable[[], AbstractAsyncContextManager[MakeDatabase]]


@contextmanager
def running(open_databases: OpenDatabases, redis_url: str) -> Iterator[Provider]:
    """A provider until the block ends. Its clock stands still until a case moves it."""
    clock = ManualClock(datetime.now(UTC).replace(microsecond=0))
    with listening() as receiver, _in_a_thread(_serving(open_databases, redis_url, clock)) as url:
        provider = Provider(url, clock, OLIVE, ADA, GRACE, receiver)
        with closing(provider):
            for person in (ADA, GRACE):
                _tell_about(provider, person)
            yield provider


def _tell_about(provider: Provider, person: Person) -> None:
    name = person.email.partition("@")[0].capitalize()
    headers = {"authorization": f"Bearer {provider.token(person)}"}
    url = f"{provider.url}/api/v1/auth/me"
    told = provider.http.patch(url, json={**ABOUT, "name": name}, headers=headers)
    assert told.status_code == 200, told.text


@asynccontextmanager
async def _serving(open_databases: OpenDatabases, redis_url: str, clock: ManualClock) -> AsyncIterator[str]:
    """The URL of the gateway, which is the issuer."""
    around, port = Surroundings(clock=clock), free_port()
    url = f"http://127.0.0.1:{port}"
    async with open_databases() as make:
        auth_settings = await _auth_settings(make, redis_url, url)
        async with build_auth(auth_settings, around) as auth:
            await _add_people(auth.grpc_port, clock)
            async with build_gateway(_gateway_settings(redis_url, url, port, auth.grpc_port), around):
                yield url


async def _auth_settings(make: MakeDatabase, redis_url: str, url: str) -> AuthSettings:
    """The cheapest hashes that Argon2 takes."""
    database = await make("orderhub_chassis", "orderhub_auth")
    given: dict[str, Any] = {
        "database_url": database, "bus": await make(postgres_bus.PACKAGE), "redis_url": redis_url, "public_url": url,
        "key_encryption_key": "k" * 40, "argon2_memory_kib": 8, "argon2_passes": 1, **KEYS,
    }  # fmt: skip
    return AuthSettings(**given)


def _gateway_settings(redis_url: str, url: str, port: int, auth_port: int) -> GatewaySettings:
    peers = {f"{name}_address": NOBODY for name in ("inventory", "orders", "payments", "delivery")}
    given: dict[str, Any] = {
        "port": port, "public_url": url, "redis_url": redis_url, "auth_address": f"127.0.0.1:{auth_port}",
        **peers, **KEYS, **GENEROUS,
    }  # fmt: skip
    return GatewaySettings(**given)


async def _add_people(port: int, clock: ManualClock) -> None:
    tokens = InternalTokens(KEYS["internal_key"], clock)
    async with grpc_client.connect(f"127.0.0.1:{port}", tokens, timedelta(seconds=10)) as peer:
        for person, role in ROLES.items():
            request = auth_pb2.CreateUserRequest(email=person.email, password=person.password, roles=[role])
            call = Call(caller=service_caller("test"))
            await peer.call(AuthServiceStub(peer.channel).CreateUser, request, call=call)


@contextmanager
def _in_a_thread(serving: AbstractAsyncContextManager[str]) -> Iterator[str]:
    """What the context gives, as soon as it is open in a loop of its own; it is closed with the block."""
    opened: Future[str] = Future()
    stop: Future[None] = Future()

    async def work() -> None:
        async with serving as url:
            opened.set_result(url)
            await asyncio.wrap_future(stop)

    def run() -> None:
        try:
            asyncio.run(work())
        except BaseException as error:
            if opened.done():
                raise
            opened.set_exception(error)

    thread = threading.Thread(target=run, name="provider")
    thread.start()
    try:
        yield opened.result(timeout=60)
    finally:
        stop.set_result(None)
        thread.join(timeout=30)
        assert not thread.is_alive(), "the provider did not stop"
