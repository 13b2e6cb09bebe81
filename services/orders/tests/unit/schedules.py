"""A small world for the model checker: orders' real decisions, toy participants, and a network that may do anything.

The network holds commands and replies; a schedule picks which one is delivered next, delivers some twice, lets
deadlines pass, and lets the customer cancel or a courier pick up at any point. What the participants do with epochs
and repetitions is the chassis' own code.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from orderhub_chassis import participant
from orderhub_chassis.consumer import Context
from orderhub_chassis.ids import CountingIds
from orderhub_chassis.messages import Envelope, Outgoing
from orderhub_contracts.common.v1.common_pb2 import Reason
from orderhub_contracts.delivery.v1 import commands_pb2 as delivery
from orderhub_contracts.events.v1.events_pb2 import DeliveryChanged
from orderhub_contracts.events.v1.records_pb2 import Record
from orderhub_contracts.inventory.v1 import commands_pb2 as inventory
from orderhub_contracts.orders.v1 import replies_pb2
from orderhub_contracts.orders.v1.replies_pb2 import SagaReply
from orderhub_contracts.payments.v1 import commands_pb2 as payments
from orderhub_orders import commands, engine, sagas
from orderhub_orders.errors import NotCancellable, TooLateToCancel
from orderhub_orders.model import Line, Order
from orderhub_orders.store import Loaded

START = datetime(2026, 1, 1, tzinfo=UTC)
ORDER = UUID(int=0x0C)
OK = replies_pb2.OUTCOME_SUCCEEDED


def an_order(**over: Any) -> Order:
    line = Line(1, UUID(int=1), "SKU", "Title", "good", 2, 500)
    values: dict[str, Any] = {
        "id": ORDER, "customer_id": "c", "vendor_id": UUID(int=2), "currency": "EUR", "lines": [line],
        "payment_token": "tok_ok", "pickup": b"", "ship_to": b"", "comment": "", "created_at": START,
        "updated_at": START, "items_minor": 1000, "now": START,
    }  # fmt: skip
    return Order(**{**values, **over})


def envelope(message: Outgoing) -> Envelope:
    record = Record(id="m", key=message.key, type=message.payload.DESCRIPTOR.full_name, saga=message.saga)
    if message.saga is None:
        record.ClearField("saga")
    return Envelope("t", 0, UUID(int=0), record, message.payload)


@dataclass
class Standings:
    standings: dict[UUID, participant.Standing]


@dataclass
class World:
    """`failing` names the steps whose participant says no; everything else is drawn from `chance`."""

    chance: random.Random
    failing: frozenset[str] = frozenset()
    now: datetime = START
    order: Order = field(default_factory=an_order)
    loaded: Loaded = field(default_factory=Loaded)
    network: list[Outgoing] = field(default_factory=list)
    standings: dict[str, participant.Standing] = field(default_factory=dict)
    stock: str = "none"
    payment: str = "none"
    payment_version: int = 0
    delivery: str = "none"
    delivery_version: int = 0
    captures: int = 0
    refunds: int = 0
    cancels: int = 0
    new_id: CountingIds = field(default_factory=lambda: CountingIds(100))
    briskness: float = 0.8

    def __post_init__(self) -> None:
        self.briskness = self.chance.choice((0.15, 0.4, 0.8))
        if "plan" in self.failing or self.chance.random() < 0.5:
            self.order.lines[0].kind = "countable"
        run, messages = engine.start(sagas.PLACE, self.order, id=self.new_id(), now=self.now)
        self.loaded.orders[self.order.id] = self.order
        self.loaded.add_run(run)
        self.network += messages

    # --- what may happen next --------------------------------------------------------------------------------------

    def step(self) -> None:
        """One random thing; in some worlds the network is so slow that steps run out of time first."""
        roll = self.chance.random()
        if self.network and roll < self.briskness:
            self.deliver(self.chance.randrange(len(self.network)), again=roll < self.briskness / 8)
        elif roll < 0.9:
            self.pass_time()
        elif roll < 0.95:
            self.cancel()
        else:
            self.pick_up()

    def drain(self) -> None:
        """The rest, in order and with time passing, until nothing is under way."""
        for _ in range(2000):
            run = self.live()
            if self.network:
                self.deliver(0)
            elif run is not None and run.state in engine.OPERATORS_QUEUE:
                self.operate(run)
            elif run is not None:
                self.pass_time()
            else:
                return
        raise AssertionError("the order never comes to rest")

    def operate(self, run: engine.Run) -> None:
        """The operator finds the run in the queue and retries it."""
        self.order.now = self.now
        self.network += commands.act_on_saga(self.loaded, run, "retry", "", now=self.now, new_id=self.new_id)

    def live(self) -> engine.Run | None:
        run = self.loaded.live.get(ORDER)
        return run if run is not None and not run.over else None

    def deliver(self, index: int, *, again: bool = False) -> None:
        message = self.network[index]
        if not again:
            del self.network[index]
        if isinstance(message.payload, SagaReply | DeliveryChanged):
            self.hear(message)
        else:
            self.obey(message)

    def pass_time(self) -> None:
        self.now += timedelta(seconds=61)
        run = self.live()
        self.order.now = self.now
        if run is not None:
            self.network += commands.on_deadline(self.loaded, run, now=self.now, new_id=self.new_id)

    def cancel(self) -> None:
        self.order.now = self.now
        try:
            self.network += commands.cancel(
                self.loaded, self.order, "why not", now=self.now, new_id=self.new_id
            )
            self.cancels += 1
        except (TooLateToCancel, NotCancellable):
            return

    def pick_up(self) -> None:
        if self.delivery == "free":
            self.delivery = "picked_up"
            self.delivery_version += 1
            event = DeliveryChanged(
                delivery_id="d",
                order_id=str(ORDER),
                status="IN_PROGRESS",
                version=self.delivery_version,
                picked_up=True,
            )
            self.network.append(Outgoing(event, str(ORDER)))

    # --- orders ----------------------------------------------------------------------------------------------------

    def hear(self, message: Outgoing) -> None:
        context, self.order.now = Context(self.now, self.new_id), self.now
        handler: Any = (
            commands.on_saga_reply if isinstance(message.payload, SagaReply) else commands.on_delivery_changed
        )
        self.network += handler(self.loaded, envelope(message), context)

    # --- participants ----------------------------------------------------------------------------------------------

    def obey(self, message: Outgoing) -> None:
        service = type(message.payload).DESCRIPTOR.file.package.split(".")[1]
        standing = self.standings.setdefault(service, participant.Standing(ORDER))

        decision = participant.answering(lambda state, e, context: self.answer(e.payload))
        self.network += decision(
            Standings({ORDER: standing}), envelope(message), Context(self.now, self.new_id)
        )

    def says_no(self, step: str) -> bool:
        return step in self.failing

    def no(self, code: str) -> SagaReply:
        return participant.failed(str(ORDER), Reason(code=code, message=code))

    def yes(self) -> SagaReply:
        return SagaReply(order_id=str(ORDER), outcome=OK)

    def answer(self, command: Any) -> SagaReply:
        match command:
            case delivery.PlanDelivery():
                return self.no("rule") if self.says_no("plan") else self.yes()
            case inventory.ReserveStock() | inventory.CommitStock() | inventory.ReleaseStock():
                return self.answer_stock(command)
            case payments.AuthorizePayment() | payments.CapturePayment() | payments.ReversePayment():
                return self.answer_payment(command)
            case _:
                return self.answer_delivery(command)

    def answer_stock(self, command: Any) -> SagaReply:
        match command:
            case inventory.ReserveStock():
                if self.says_no("reserve"):
                    return self.no("out_of_stock")
                assert self.stock == "none", f"reserved from {self.stock}"
                self.stock = "reserved"
            case inventory.CommitStock():
                if self.stock != "reserved":
                    return participant.refused(str(ORDER), "state", self.stock)
                self.stock = "committed"
            case _:
                self.stock = {"none": "none", "reserved": "released", "committed": "released"}.get(
                    self.stock, self.stock
                )
        return self.yes()

    def answer_payment(self, command: Any) -> SagaReply:
        match command:
            case payments.AuthorizePayment():
                if self.says_no("authorize"):
                    return self.no("declined")
                assert self.payment == "none", f"authorized from {self.payment}"
                self.payment = "AUTHORIZED"
            case payments.CapturePayment():
                if self.says_no("capture") or self.payment != "AUTHORIZED":
                    return self.no("capture_refused")
                self.payment, self.captures = "CAPTURED", self.captures + 1
            case _:
                if self.payment == "CAPTURED":
                    self.payment, self.refunds = "REFUNDED", self.refunds + 1
                elif self.payment == "AUTHORIZED":
                    self.payment = "VOIDED"
        reply = self.yes()
        if self.payment != "none":
            self.payment_version += 1
            reply.payment.payment_id, reply.payment.status = "p", self.payment
            reply.payment.version = self.payment_version
        return reply

    def answer_delivery(self, command: Any) -> SagaReply:
        match command:
            case delivery.BookDelivery():
                if self.says_no("book"):
                    return self.no("no_route")
                assert self.delivery == "none", f"booked from {self.delivery}"
                self.delivery = "held"
            case delivery.ReleaseDelivery():
                if self.delivery != "held":
                    return participant.refused(str(ORDER), "state", self.delivery)
                self.delivery = "free"
            case delivery.StopDelivery() if self.delivery == "picked_up":
                return participant.refused(str(ORDER), "delivery.picked_up", "the courier was faster")
            case _:
                self.delivery = "cancelled" if self.delivery != "none" else "none"
        reply = self.yes()
        if self.delivery != "none":
            self.delivery_version += 1
            status = {"cancelled": "CANCELLED", "picked_up": "IN_PROGRESS"}.get(self.delivery, "CREATED")
            reply.delivery.delivery_id, reply.delivery.status = "d", status
            reply.delivery.version = self.delivery_version
            reply.delivery.picked_up = self.delivery == "picked_up"
        return reply
