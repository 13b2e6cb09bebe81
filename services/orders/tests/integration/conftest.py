"""The real orders service with scripted participants on the real bus and a catalogue in its views."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from orderhub_chassis.calls import Call, Caller, service_caller
from orderhub_chassis.consumer import ConsumerSpec, Context
from orderhub_chassis.grpc import client
from orderhub_chassis.ids import uuid7
from orderhub_chassis.messages import Envelope, Outgoing
from orderhub_chassis.service import Chassis, Surroundings, open_chassis
from orderhub_chassis.settings import ServiceSettings
from orderhub_contracts import topics
from orderhub_contracts.common.v1.common_pb2 import Address, Money, Position
from orderhub_contracts.delivery.v1 import commands_pb2 as delivery
from orderhub_contracts.events.v1.events_pb2 import DeliveryChanged, ProductChanged, VendorChanged
from orderhub_contracts.inventory.v1 import commands_pb2 as inventory
from orderhub_contracts.orders.v1 import orders_pb2 as pb
from orderhub_contracts.orders.v1 import orders_pb2_grpc, replies_pb2
from orderhub_contracts.orders.v1.replies_pb2 import SagaReply
from orderhub_contracts.payments.v1 import commands_pb2 as payments
from orderhub_orders.app import Service, build
from orderhub_orders.settings import Settings

OK = replies_pb2.OUTCOME_SUCCEEDED
CUSTOMER = Caller("c-1", frozenset({"customer"}))
GATEWAY = service_caller("gateway")
OPERATOR = Caller("op-1", frozenset({"operator"}))
VENDOR_ID, PRODUCT_ID = str(uuid7()), str(uuid7())

Script = Callable[[Envelope], Iterable[SagaReply]]


def succeed(envelope: Envelope) -> list[SagaReply]:
    """What a participant answers when nothing goes wrong."""
    command, order_id = envelope.payload, envelope.payload.order_id
    reply = SagaReply(order_id=order_id, outcome=OK)
    version = envelope.record.saga.epoch * 100 + envelope.record.saga.step
    match command:
        case delivery.PlanDelivery():
            reply.delivery_planned.verdict = "allow"
        case inventory.ReserveStock():
            reply.stock_reserved.SetInParent()
        case inventory.CommitStock():
            reply.stock_committed.SetInParent()
        case inventory.ReleaseStock():
            reply.stock_released.disposition = inventory.Disposition.Name(command.disposition)
        case payments.AuthorizePayment() | payments.CapturePayment() | payments.ReversePayment():
            status = {payments.AuthorizePayment: "AUTHORIZED", payments.CapturePayment: "CAPTURED"}
            reply.payment.payment_id = f"p-{order_id}"
            reply.payment.status = status.get(type(command), "REFUNDED")
            reply.payment.version = version
        case delivery.BookDelivery() | delivery.ReleaseDelivery():
            reply.delivery.CopyFrom(
                delivery.DeliverySnapshot(delivery_id=f"d-{order_id}", status="CREATED", version=version)
            )
        case _:
            reply.delivery.CopyFrom(
                delivery.DeliverySnapshot(delivery_id=f"d-{order_id}", status="CANCELLED", version=version)
            )
    return [reply]


@dataclass
class Participants:
    """Answers every command by the script of its type; keeps what it was asked."""

    scripts: dict[type, Script] = field(default_factory=dict)
    asked: list[Envelope] = field(default_factory=list)
    chassis: Chassis | None = None
    silent: bool = False

    @staticmethod
    def default(envelope: Envelope) -> list[SagaReply]:
        return succeed(envelope)

    def handle(self, state: Any, envelope: Envelope, context: Context) -> list[Outgoing]:
        self.asked.append(envelope)
        if self.silent or isinstance(envelope.payload, inventory.ExtendReservation):
            return []
        replies = self.scripts.get(type(envelope.payload), succeed)(envelope)
        return [Outgoing(reply, reply.order_id, saga=envelope.saga) for reply in replies]

    def commands(self, order_id: str) -> list[str]:
        return [type(e.payload).__name__ for e in self.asked if e.key == order_id]

    async def send(self, *messages: Outgoing) -> None:
        async def work(tx: Any) -> None:
            tx.send_all(messages)

        assert self.chassis is not None
        await self.chassis.db.run(work)


@dataclass
class World:
    service: Service
    participants: Participants
    peer: client.Peer
    stub: Any
    eventually: Any

    operator = OPERATOR
    product_id = PRODUCT_ID
    vendor_id = VENDOR_ID

    @staticmethod
    def a_product(**over: Any) -> ProductChanged:
        return a_product(**over)

    @staticmethod
    def a_vendor(**over: Any) -> VendorChanged:
        return a_vendor(**over)

    @staticmethod
    def new_id() -> str:
        return str(uuid7())

    async def known(self, product_id: str, version: int = 1) -> None:
        """Until the projection has the product in that version."""

        async def there() -> Any:
            query = "select 1 from product_views where id = $1 and version >= $2"
            return await self.service.chassis.db.fetchval(query, UUID(product_id), version)

        await self.eventually(there)

    async def asked(self, order_id: str, command: type) -> Envelope:
        """The last command of that type, once it has come."""

        async def there() -> Any:
            found = [
                e for e in self.participants.asked if e.key == order_id and isinstance(e.payload, command)
            ]
            return found[-1] if found else None

        return await self.eventually(there)

    async def saga_in(self, order_id: str, state: str) -> pb.Saga:
        async def there() -> Any:
            page = await self.call("ListSagas", pb.ListSagasRequest(order_id=order_id, state=state), OPERATOR)
            return page.items[0] if page.items else None

        return await self.eventually(there)

    async def fast_forward(self, order_id: str) -> None:
        """Once the reservation is asked for: the step's time is over."""
        await self.asked(order_id, inventory.ReserveStock)
        await self.service.chassis.db.execute(
            "update orders set run_deadline_at = now() - interval '1 s' where id = $1", UUID(order_id)
        )

    async def delivery_is(
        self, order_id: str, status: str, version: int, *, picked_up: bool, final: bool = False
    ) -> None:
        event = DeliveryChanged(
            delivery_id=f"d-{order_id}", order_id=order_id, status=status, version=version, picked_up=picked_up,
            final=final,
        )  # fmt: skip
        await self.participants.send(Outgoing(event, order_id))

    async def call(self, name: str, request: Any, caller: Caller | None = None, **call: Any) -> Any:
        """As the customer; orders are placed by the gateway, which passes on who wants them."""
        caller = caller or (GATEWAY if name == "PlaceOrders" else CUSTOMER)
        return await self.peer.call(getattr(self.stub, name), request, call=Call(caller=caller, **call))

    def item(self, key: str = "", caller: Caller = CUSTOMER, **over: Any) -> pb.PlaceOrderItem:
        return pb.PlaceOrderItem(
            request=a_request(**over),
            caller_token=self.service.chassis.tokens.sign(caller),
            idempotency_key=key or str(uuid4()),
            fingerprint=b"f",
        )

    async def place(self, **over: Any) -> pb.Order:
        response = await self.call("PlaceOrders", pb.PlaceOrdersRequest(items=[self.item(**over)]))
        outcome = response.outcomes[0]
        assert outcome.HasField("order"), outcome.failure
        return outcome.order

    async def until(self, order_id: str, *statuses: str, within: float = 10.0) -> pb.Order:
        async def there() -> Any:
            order = await self.call("GetOrder", pb.GetOrderRequest(id=order_id), OPERATOR)
            return order if order.status in statuses else None

        return await self.eventually(there, within=within)

    async def kinds(self, order_id: str) -> list[str]:
        answer = await self.call("GetTimeline", pb.GetTimelineRequest(id=order_id), OPERATOR)
        assert [item.seq for item in answer.items] == list(range(1, len(answer.items) + 1))
        return [item.kind for item in answer.items]


def a_request(**over: Any) -> pb.PlaceOrderRequest:
    values: dict[str, Any] = {
        "lines": [pb.OrderLineRequest(product_id=PRODUCT_ID, quantity=2)],
        "ship_to": Address(
            name="N",
            line1="Street 1",
            city="Hamm",
            postal_code="59065",
            country="DE",
            position=Position(lat=51.7, lon=7.8),
        ),
        "payment_token": "tok_ok",
    }
    values.update(over)
    return pb.PlaceOrderRequest(**values)


def a_product(**over: Any) -> ProductChanged:
    values: dict[str, Any] = {
        "product_id": PRODUCT_ID, "vendor_id": VENDOR_ID, "sku": "FISH-1", "title": "Clownfish", "kind": "countable",
        "price": Money(amount_minor=6490, currency="EUR"), "status": "active", "version": 1,
    }  # fmt: skip
    return ProductChanged(**{**values, **over})


def a_vendor(**over: Any) -> VendorChanged:
    address = Address(
        name="Lagoon", line1="Haven 1", city="Rotterdam", postal_code="3011", country="NL",
        position=Position(lat=51.9, lon=4.5),
    )  # fmt: skip
    return VendorChanged(
        **{"vendor_id": VENDOR_ID, "name": "Lagoon", "address": address, "version": 1, **over}
    )


@pytest.fixture
async def world(make_settings: Any, make_database: Any, eventually: Any) -> AsyncIterator[World]:
    participants = Participants()
    around = Surroundings()
    async with AsyncExitStack() as stack:
        settings = await make_settings(
            Settings,
            "orderhub_orders",
            inventory_address="127.0.0.1:9",
            sweep_every=timedelta(milliseconds=100),
        )
        service = await stack.enter_async_context(build(settings, around))
        participants.chassis = await _participants(stack, participants, around, make_settings)
        await _fill_views(participants, service, eventually)
        peer = await stack.enter_async_context(
            client.connect(f"127.0.0.1:{service.grpc_port}", service.chassis.tokens, timedelta(seconds=10))
        )
        yield World(service, participants, peer, orders_pb2_grpc.OrdersServiceStub(peer.channel), eventually)


async def _participants(
    stack: AsyncExitStack, participants: Participants, around: Surroundings, make_settings: Any
) -> Chassis:
    settings = await make_settings(ServiceSettings, "orderhub_chassis")
    chassis = await stack.enter_async_context(
        open_chassis("inventory", settings, around, package="orderhub_chassis")
    )
    commanded = (topics.INVENTORY_COMMANDS, topics.PAYMENTS_COMMANDS, topics.DELIVERY_COMMANDS)

    async def load(tx: Any, envelopes: Sequence[Envelope], context: Context) -> None:
        return None

    async def save(tx: Any, state: None, context: Context) -> None:
        return None

    handlers = {message: participants.handle for topic in commanded for message in topic.messages}
    await chassis.consume(ConsumerSpec("inventory", commanded, load, handlers, save))
    return chassis


async def _fill_views(participants: Participants, service: Service, eventually: Any) -> None:
    await participants.send(Outgoing(a_vendor(), VENDOR_ID), Outgoing(a_product(), VENDOR_ID))

    async def known() -> Any:
        return await service.chassis.db.fetchval(
            "select count(*) from product_views where id = $1", UUID(PRODUCT_ID)
        )

    await eventually(known)


def utc_now() -> datetime:
    return datetime.now(UTC)
