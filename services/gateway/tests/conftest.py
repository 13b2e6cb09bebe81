"""A running gateway in front of real services, each on its own fresh database."""

from __future__ import annotations

import importlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from joserfc.jwk import RSAKey
from orderhub_auth.app import build as build_auth
from orderhub_auth.settings import Settings as AuthSettings
from orderhub_chassis.calls import Call, Caller, InternalTokens, service_caller
from orderhub_chassis.clock import ManualClock, SystemClock
from orderhub_chassis.errors import Unavailable
from orderhub_chassis.grpc import client as grpc_client
from orderhub_chassis.hints import Hints
from orderhub_chassis.service import Surroundings
from orderhub_contracts.auth.v1 import auth_pb2
from orderhub_contracts.auth.v1.auth_pb2_grpc import AuthServiceStub
from orderhub_contracts.common.v1 import common_pb2
from orderhub_contracts.inventory.v1 import inventory_pb2
from orderhub_contracts.inventory.v1.inventory_pb2_grpc import InventoryServiceStub
from orderhub_gateway import verifier
from orderhub_gateway.app import build as build_gateway
from orderhub_gateway.readiness import GatedReadiness
from orderhub_gateway.revocations import Revocations
from orderhub_gateway.settings import Settings as GatewaySettings

sys.path.insert(0, str(Path(__file__).parent))

from idp import OWN, Gate, Idp, parsed, rsa_key, truth

NOBODY = "127.0.0.1:9"
PASSWORD = "a password for tests"
WEBHOOK_SECRET = "whsec_of_the_tests_only"
OPERATOR = Call(caller=Caller("0198c0de-0000-7000-8000-0000000000aa", frozenset({"operator"})))
PEERS = ("auth", "inventory", "orders", "payments", "delivery")
PATIENT: dict[str, Any] = {f"wrong_passwords_per_{what}": 1000 for what in ("place", "account", "address")}
"""What auth does about guesses is its own tests' matter."""
numbers = count(1)


@pytest.fixture
async def make_idp() -> AsyncIterator[Callable[[], Awaitable[Idp]]]:
    """`await make_idp()`: an issuer that serves until the test ends."""
    async with AsyncExitStack() as stack:
        yield lambda: stack.enter_async_context(Idp().serving())


@pytest.fixture
def rsa() -> RSAKey:
    return rsa_key()


@pytest.fixture
async def idp(make_idp: Any) -> Idp:
    made: Idp = await make_idp()
    return made


@pytest.fixture
async def open_gate(eventually: Any) -> AsyncIterator[Callable[..., Awaitable[Gate]]]:
    """`await open_gate(idp.settings(…), …)`: a verifier that believes these, its first keys in hand where they serve."""
    async with AsyncExitStack() as stack:

        async def open_one(*issuers: dict[str, Any], own: Any = None, fetched: bool = True) -> Gate:
            clock, readiness = ManualClock(), GatedReadiness(None)
            settings: Any = type(
                "Given",
                (),
                {
                    "public_url": OWN,
                    "audience": "orderhub-api",
                    "oidc_issuers": parsed(issuers),
                    "own_keys_refresh": timedelta(seconds=10),
                },
            )

            async def nobody() -> str:
                raise Unavailable("auth is not here")

            nothing = Revocations(0)
            nothing.confirm()
            opening = verifier.opened(settings, clock, own or nobody, readiness, nothing)
            access = await stack.enter_async_context(opening)
            if fetched:
                keys = [access._trusted[one["issuer"]].keys for one in issuers]
                await eventually(lambda: truth(all(one.good_for > 0 for one in keys)))
            return Gate(access, clock, readiness)

        yield open_one


@pytest.fixture
def oidc_issuers() -> tuple[Any, ...]:
    """What the gateway of `whole` believes beside auth; a module that wants more defines its own."""
    return ()


@pytest.fixture
def auth_over() -> dict[str, Any]:
    """Settings of auth in `whole`; a module that wants others defines its own."""
    return {}


class Api:
    """A client of a running gateway. `as_(role)` gives headers of a user of that role."""

    def __init__(
        self, http: httpx.AsyncClient, auth: grpc_client.Peer, inventory: grpc_client.Peer | None
    ) -> None:
        self.http = http
        self._auth = auth
        self._inventory = inventory
        self._tokens: dict[str, str] = {}
        self.users: dict[str, dict[str, Any]] = {}
        self.vendor_id = str(uuid4())
        self.vendors: dict[str, str] = {}
        self.ports: dict[str, int] = {}
        self.gateway: Any = None

    async def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        url = path if path.startswith("/api") or not path.startswith("/v1") else f"/api{path}"
        return await self.http.request(method, url, **options)

    async def token(self, role: str, name: str = "") -> str:
        """The access token of a user of the role; another `name` is another user."""
        who = f"{role}{name}"
        if who not in self._tokens:
            email = f"{who}-{next(numbers)}@example.org"
            vendor = self.vendors.get(name, str(uuid4())) if name else self.vendor_id
            request = auth_pb2.CreateUserRequest(
                email=email, password=PASSWORD, roles=[role], vendor_id=vendor if role == "vendor" else ""
            )
            await self._auth.call(
                AuthServiceStub(self._auth.channel).CreateUser,
                request,
                call=Call(caller=service_caller("test")),
            )
            answer = await self.http.post("/api/v1/auth/login", json={"email": email, "password": PASSWORD})
            self._tokens[who] = answer.json()["access_token"]
            self.users[who] = answer.json()["user"]
        return self._tokens[who]

    async def as_(self, role: str, name: str = "", **headers: str) -> dict[str, str]:
        if role == "anybody":
            return headers
        return {"authorization": f"Bearer {await self.token(role, name)}", **headers}

    def forget_users(self, role: str = "") -> None:
        """From now on there are others of each name."""
        self._tokens = {
            who: token for who, token in self._tokens.items() if role and not who.startswith(role)
        }

    async def make_vendor(self) -> str:
        """A real vendor in inventory; users of the role vendor belong to it from now on."""
        assert self._inventory is not None
        address = common_pb2.Address(
            line1="Havenweg 12", city="Rotterdam", postal_code="3011", country="NL",
            position=common_pb2.Position(lat=51.92, lon=4.48),
        )  # fmt: skip
        made = await self._inventory.call(
            InventoryServiceStub(self._inventory.channel).CreateVendor,
            inventory_pb2.CreateVendorRequest(name=f"Blue Lagoon {next(numbers)}", address=address),
            call=OPERATOR,
        )
        self.vendor_id = made.id
        return self.vendor_id

    async def make_product(self, **over: Any) -> dict[str, Any]:
        body = {
            "sku": f"SKU-{next(numbers)}", "title": "Driftwood", "kind": "good", "stock": 100,
            "price": {"amount_minor": 1500, "currency": "EUR"}, **over,
        }  # fmt: skip
        answer = await self("POST", "/v1/products", json=body, headers=await self.as_("vendor"))
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def place(self, product: dict[str, Any], **over: Any) -> httpx.Response:
        headers = await self.as_("customer", **{"idempotency-key": uuid4().hex, **over.pop("headers", {})})
        return await self("POST", "/v1/orders", json=an_order(product, **over), headers=headers)


def an_order(product: dict[str, Any], **over: Any) -> dict[str, Any]:
    return {
        "lines": [{"product_id": product["id"], "quantity": 2}],
        "ship_to": {
            "name": "Ada", "line1": "Invalidenstr. 1", "city": "Berlin", "postal_code": "10115", "country": "DE",
            "lat": 52.53, "lon": 13.38,
        },
        "payment": {"token": "tok_ok"},
        **over,
    }  # fmt: skip


@pytest.fixture
def an_order_of() -> Callable[..., dict[str, Any]]:
    """The body of an order for a product."""
    return an_order


def gateway_settings(redis_url: str, ports: dict[str, int], **over: Any) -> GatewaySettings:
    addresses = {f"{name}_address": f"127.0.0.1:{ports[name]}" if name in ports else NOBODY for name in PEERS}
    generous = {
        "auth_rate_per_address": 1000,
        "auth_burst_per_address": 10_000,
        "login_burst_per_account": 100,
    }
    return GatewaySettings(
        **{
            "port": 0, "redis_url": redis_url, "internal_key": "i" * 40, "cursor_key": "c" * 40,
            "rate_per_address": 1000, "burst_per_address": 10_000,
            "rate_per_principal": 1000, "burst_per_principal": 10_000,
            **addresses, **generous, **over,
        }
    )  # fmt: skip


async def auth_settings(make_settings: Any, **over: Any) -> AuthSettings:
    return await make_settings(
        AuthSettings,
        "orderhub_auth",
        key_encryption_key="k" * 40,
        argon2_memory_kib=8,
        argon2_passes=1,
        **{**PATIENT, **over},
    )


@pytest.fixture
def settings_for() -> tuple[Any, Any]:
    """How the settings of a gateway and of an auth are made here: `gateway_settings`, `auth_settings`."""
    return gateway_settings, auth_settings


@pytest.fixture
async def open_gateway(make_settings: Any, redis_url: str) -> AsyncIterator[Any]:
    """`await open_gateway(**settings)`: an Api of a gateway that has auth behind it, and nothing else; `auth` is settings
    of that."""
    async with AsyncExitStack() as stack:

        async def open_one(clock: ManualClock | None = None, **over: Any) -> Api:
            around = Surroundings(clock=clock or SystemClock())
            cache = over.pop("redis_url", redis_url)
            given = await auth_settings(make_settings, **{"redis_url": cache, **over.pop("auth", {})})
            auth = await stack.enter_async_context(build_auth(given, around))
            settings = gateway_settings(cache, {"auth": auth.grpc_port}, **over)
            gateway = await stack.enter_async_context(build_gateway(settings, around))
            peer = await stack.enter_async_context(_peer(auth.grpc_port))
            opened = Api(await stack.enter_async_context(_client(gateway.port)), peer, None)
            opened.gateway = gateway
            return opened

        yield open_one


@pytest.fixture
async def api(open_gateway: Any) -> Api:
    """A gateway with auth alone behind it: enough for everything that is decided at the door."""
    opened: Api = await open_gateway()
    return opened


@pytest.fixture
async def whole(
    make_settings: Any, make_database: Any, redis_url: str, oidc_issuers: Any, auth_over: dict[str, Any]
) -> AsyncIterator[Api]:
    """Everything: all services, the provider's simulator, the gateway."""
    around = Surroundings(hints=Hints())
    async with AsyncExitStack() as stack:
        ports: dict[str, int] = {}

        async def start(name: str, **over: Any) -> Any:
            module = importlib.import_module(f"orderhub_{name}.app")
            settings = importlib.import_module(f"orderhub_{name}.settings").Settings
            made = await make_settings(settings, f"orderhub_{name}", **over)
            service = await stack.enter_async_context(module.build(made, around))
            ports[name] = service.chassis.grpc_port
            return service

        simulator = await stack.enter_async_context(_simulator(make_database, around))
        cheap = {"key_encryption_key": "k" * 40, "argon2_memory_kib": 8, "argon2_passes": 1, **PATIENT}
        await start("auth", **cheap, **auth_over)
        await start("inventory")
        stripe = {"stripe_api_key": "sk_test_0123456789", "stripe_webhook_secret": WEBHOOK_SECRET}
        stripe |= {"stripe_url": "http://127.0.0.1:9"}
        await start("payments", simulator_url=simulator.url, simulator_api_key="s" * 40, **stripe)
        await start("delivery")
        await start("orders", inventory_address=f"127.0.0.1:{ports['inventory']}")
        settings = gateway_settings(redis_url, ports, oidc_issuers=oidc_issuers)
        gateway = await stack.enter_async_context(build_gateway(settings, around))
        auth, inventory = [await stack.enter_async_context(_peer(ports[n])) for n in ("auth", "inventory")]
        opened = Api(await stack.enter_async_context(_client(gateway.port)), auth, inventory)
        opened.ports = ports
        await opened.make_vendor()
        yield opened


@asynccontextmanager
async def _simulator(
    make_database: Callable[..., Awaitable[str]], around: Surroundings
) -> AsyncIterator[Any]:
    app = importlib.import_module("orderhub_simulator.app")
    settings = importlib.import_module("orderhub_simulator.settings").Settings
    url = await make_database("orderhub_simulator")
    async with app.build(settings(database_url=url, api_key="s" * 40, timeout_seconds=0), around) as service:
        yield service


def _peer(port: int) -> Any:
    tokens = InternalTokens("i" * 40, SystemClock())
    return grpc_client.connect(f"127.0.0.1:{port}", tokens, timedelta(seconds=10))


def _client(port: int) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False)
