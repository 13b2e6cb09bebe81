"""The peers: one channel and one stub each, and orders' micro-batch."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from orderhub_chassis.batching import Batcher
from orderhub_chassis.calls import Call, InternalTokens, current_call, service_caller
from orderhub_chassis.errors import Failure, Unavailable
from orderhub_chassis.grpc import client
from orderhub_contracts.api_keys import Presented
from orderhub_contracts.auth.v1 import api_keys_pb2, auth_pb2
from orderhub_contracts.auth.v1.api_keys_pb2_grpc import ApiKeyServiceStub
from orderhub_contracts.auth.v1.auth_pb2_grpc import AuthServiceStub
from orderhub_contracts.auth.v1.keys_pb2_grpc import KeyServiceStub
from orderhub_contracts.auth.v1.mfa_pb2_grpc import MfaServiceStub
from orderhub_contracts.auth.v1.oidc_pb2_grpc import ClientServiceStub, OidcServiceStub
from orderhub_contracts.auth.v1.profile_pb2_grpc import ProfileServiceStub
from orderhub_contracts.delivery.v1.delivery_pb2_grpc import DeliveryServiceStub
from orderhub_contracts.events.v1.dead_letters_pb2_grpc import DeadLetterServiceStub
from orderhub_contracts.inventory.v1.inventory_pb2_grpc import InventoryServiceStub
from orderhub_contracts.orders.v1 import orders_pb2
from orderhub_contracts.orders.v1.orders_pb2_grpc import OrdersServiceStub
from orderhub_contracts.payments.v1.payments_pb2_grpc import PaymentsServiceStub

from orderhub_gateway import metrics
from orderhub_gateway.settings import Settings
from orderhub_gateway.upstreams import Bounds, Tell, Upstream

GATEWAY = Call(caller=service_caller("gateway"))
PLACE_PARALLEL = 2
Placed = tuple[orders_pb2.Order, bool]


def as_gateway() -> Call:
    """The call that is under way, made by the gateway for itself: for what users are not told as such."""
    given = current_call.get()
    return Call(GATEWAY.caller, given.request_id, given.traceparent, deadline=given.deadline)


@dataclass(frozen=True, slots=True)
class Service:
    """A peer with its stub: `await service(service.stub.GetOrder, request)`."""

    upstream: Upstream
    stub: Any
    dead_letters: Any

    async def __call__(self, method: Any, request: Any, **options: Any) -> Any:
        return await self.upstream.call(method, request, **options)


@dataclass(frozen=True, slots=True)
class Peers:
    """All services behind the gateway."""

    auth: Service
    keys: Service
    profiles: Service
    mfa: Service
    oidc: Service
    relying_parties: Service
    api_keys: Service
    inventory: Service
    orders: Service
    payments: Service
    delivery: Service
    placing: Batcher[orders_pb2.PlaceOrderItem, Placed]
    tokens: InternalTokens

    @property
    def consuming(self) -> dict[str, Service]:
        """Those that can have dead letters."""
        return {
            "orders": self.orders,
            "inventory": self.inventory,
            "payments": self.payments,
            "delivery": self.delivery,
        }

    async def jwks(self) -> auth_pb2.GetJwksResponse:
        """Raises Unavailable."""
        try:
            answer: auth_pb2.GetJwksResponse = await self.auth(
                self.auth.stub.GetJwks, auth_pb2.GetJwksRequest(), call=GATEWAY
            )
        except Unavailable as away:
            raise Unavailable(away.detail, retry_after=away.retry_after) from away
        return answer

    async def resolve_api_keys(self, presented: Sequence[Presented]) -> Sequence[api_keys_pb2.ResolvedApiKey]:
        """Raises Unavailable."""
        keys = [
            api_keys_pb2.PresentedApiKey(public_id=one.public_id, key_hash=one.key_hash) for one in presented
        ]
        request = api_keys_pb2.ResolveApiKeysRequest(keys=keys)
        answer = await self.api_keys(
            self.api_keys.stub.ResolveApiKeys, request, call=GATEWAY, repeatable=True
        )
        return list(answer.keys)


@asynccontextmanager
async def connect(settings: Settings, tokens: InternalTokens, tell: Tell) -> AsyncIterator[Peers]:
    """`tell` hears of peers whose circuit is open."""
    async with AsyncExitStack() as stack:

        async def service(name: str, stub: Any) -> Service:
            address = getattr(settings, f"{name}_address")
            peer = await stack.enter_async_context(client.connect(address, tokens, settings.call_timeout))
            upstream = Upstream(name, peer, _bounds(settings), tell)
            return Service(upstream, stub(peer.channel), DeadLetterServiceStub(peer.channel))

        auth = await service("auth", AuthServiceStub)
        orders = await service("orders", OrdersServiceStub)
        yield Peers(
            auth=auth,
            keys=replace(auth, stub=KeyServiceStub(auth.upstream.peer.channel)),
            profiles=replace(auth, stub=ProfileServiceStub(auth.upstream.peer.channel)),
            mfa=replace(auth, stub=MfaServiceStub(auth.upstream.peer.channel)),
            oidc=replace(auth, stub=OidcServiceStub(auth.upstream.peer.channel)),
            relying_parties=replace(auth, stub=ClientServiceStub(auth.upstream.peer.channel)),
            api_keys=replace(auth, stub=ApiKeyServiceStub(auth.upstream.peer.channel)),
            inventory=await service("inventory", InventoryServiceStub),
            orders=orders,
            payments=await service("payments", PaymentsServiceStub),
            delivery=await service("delivery", DeliveryServiceStub),
            placing=_placing(orders, settings.place_batch),
            tokens=tokens,
        )


def _bounds(settings: Settings) -> Bounds:
    return Bounds(
        calls=settings.calls_per_upstream,
        waits=settings.waits_at_once,
        ratio=settings.repeat_ratio,
        failures=settings.circuit_failures,
        window=settings.circuit_window.total_seconds(),
        pause=settings.circuit_pause.total_seconds(),
        timeout=settings.call_timeout.total_seconds(),
    )


def _placing(orders: Service, size: int) -> Batcher[orders_pb2.PlaceOrderItem, Placed]:
    """Orders that arrive while a call is under way travel together in the next one."""

    async def place(items: Sequence[orders_pb2.PlaceOrderItem]) -> Sequence[Placed | BaseException]:
        metrics.PLACE_BATCH.observe(len(items))
        request = orders_pb2.PlaceOrdersRequest(items=items)
        # Each item has its Idempotency-Key. The batch is nobody's, so that no single request's deadline ends it.
        answer = await orders(orders.stub.PlaceOrders, request, call=GATEWAY, repeatable=True)
        return [_outcome(outcome) for outcome in answer.outcomes]

    return Batcher(place, size=size, parallel=PLACE_PARALLEL)


def _outcome(outcome: orders_pb2.PlaceOrderOutcome) -> Placed | Failure:
    if outcome.HasField("order"):
        return outcome.order, outcome.replayed
    return client.failure_from(outcome.failure)
