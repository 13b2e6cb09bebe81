"""The peers: one channel and one stub each, and orders' micro-batch."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from orderhub_chassis.batching import Batcher
from orderhub_chassis.calls import Call, InternalTokens, service_caller
from orderhub_chassis.errors import Failure
from orderhub_chassis.grpc import client
from orderhub_contracts.auth.v1 import auth_pb2
from orderhub_contracts.auth.v1.auth_pb2_grpc import AuthServiceStub
from orderhub_contracts.auth.v1.profile_pb2_grpc import ProfileServiceStub
from orderhub_contracts.delivery.v1.delivery_pb2_grpc import DeliveryServiceStub
from orderhub_contracts.events.v1.dead_letters_pb2_grpc import DeadLetterServiceStub
from orderhub_contracts.inventory.v1.inventory_pb2_grpc import InventoryServiceStub
from orderhub_contracts.orders.v1 import orders_pb2
from orderhub_contracts.orders.v1.orders_pb2_grpc import OrdersServiceStub
from orderhub_contracts.payments.v1.payments_pb2_grpc import PaymentsServiceStub

from orderhub_gateway import metrics
from orderhub_gateway.settings import Settings

GATEWAY = Call(caller=service_caller("gateway"))
PLACE_PARALLEL = 2
Placed = tuple[orders_pb2.Order, bool]


@dataclass(frozen=True, slots=True)
class Service:
    """A peer with its stub: `await service(service.stub.GetOrder, request)`."""

    peer: client.Peer
    stub: Any
    dead_letters: Any

    async def __call__(self, method: Any, request: Any, **options: Any) -> Any:
        return await self.peer.call(method, request, **options)


@dataclass(frozen=True, slots=True)
class Peers:
    """All services behind the gateway."""

    auth: Service
    profiles: Service
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

    async def jwks(self) -> str:
        answer = await self.auth(self.auth.stub.GetJwks, auth_pb2.GetJwksRequest(), call=GATEWAY)
        return str(answer.jwks_json)


@asynccontextmanager
async def connect(settings: Settings, tokens: InternalTokens) -> AsyncIterator[Peers]:
    async with AsyncExitStack() as stack:

        async def service(address: str, stub: Any) -> Service:
            peer = await stack.enter_async_context(client.connect(address, tokens, settings.call_timeout))
            return Service(peer, stub(peer.channel), DeadLetterServiceStub(peer.channel))

        auth = await service(settings.auth_address, AuthServiceStub)
        orders = await service(settings.orders_address, OrdersServiceStub)
        yield Peers(
            auth=auth,
            profiles=replace(auth, stub=ProfileServiceStub(auth.peer.channel)),
            inventory=await service(settings.inventory_address, InventoryServiceStub),
            orders=orders,
            payments=await service(settings.payments_address, PaymentsServiceStub),
            delivery=await service(settings.delivery_address, DeliveryServiceStub),
            placing=_placing(orders, settings.place_batch),
            tokens=tokens,
        )


def _placing(orders: Service, size: int) -> Batcher[orders_pb2.PlaceOrderItem, Placed]:
    """Orders that arrive while a call is under way travel together in the next one."""

    async def place(items: Sequence[orders_pb2.PlaceOrderItem]) -> Sequence[Placed | BaseException]:
        metrics.PLACE_BATCH.observe(len(items))
        request = orders_pb2.PlaceOrdersRequest(items=items)
        answer = await orders(orders.stub.PlaceOrders, request, call=GATEWAY)
        return [_outcome(outcome) for outcome in answer.outcomes]

    return Batcher(place, size=size, parallel=PLACE_PARALLEL)


def _outcome(outcome: orders_pb2.PlaceOrderOutcome) -> Placed | Failure:
    if outcome.HasField("order"):
        return outcome.order, outcome.replayed
    return client.failure_from(outcome.failure)
