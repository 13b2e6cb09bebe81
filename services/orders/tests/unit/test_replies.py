"""What orders hears of payment and delivery: by a reply however late, and by an event only where no reply tells it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from orderhub_chassis.consumer import Context
from orderhub_chassis.ids import CountingIds
from orderhub_chassis.messages import Envelope
from orderhub_contracts.common.v1.common_pb2 import Reason
from orderhub_contracts.delivery.v1.commands_pb2 import DeliverySnapshot
from orderhub_contracts.events.v1.events_pb2 import DeliveryChanged, PaymentChanged, ProductChanged
from orderhub_contracts.events.v1.records_pb2 import Record, SagaRef
from orderhub_contracts.orders.v1 import replies_pb2
from orderhub_contracts.orders.v1.replies_pb2 import SagaReply
from orderhub_contracts.payments.v1.commands_pb2 import PaymentSnapshot
from orderhub_orders import commands, consumers
from orderhub_orders.model import Order
from orderhub_orders.store import Loaded

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ORDER, GONE = UUID(int=0x0C), UUID(int=0x0D)
NO_LIVE_RUN = SagaRef(order_id=str(ORDER), run_id=str(UUID(int=9)), step=4, epoch=1)


def an_order() -> Order:
    return Order(
        id=ORDER, customer_id="c", vendor_id=UUID(int=2), currency="EUR", lines=[], payment_token="tok_ok", pickup=b"",
        ship_to=b"", comment="", created_at=NOW, updated_at=NOW, items_minor=1000, now=NOW,
    )  # fmt: skip


def hear(order: Order, payload: Any, saga: SagaRef | None = NO_LIVE_RUN) -> list[Any]:
    loaded = Loaded({order.id: order})
    record = Record(key=payload.order_id, type=payload.DESCRIPTOR.full_name, saga=saga)
    return list(
        commands.on_saga_reply(
            loaded, Envelope("t", 0, UUID(int=1), record, payload), Context(NOW, CountingIds(1))
        )
    )


def a_reply(**over: Any) -> SagaReply:
    return SagaReply(order_id=str(ORDER), outcome=replies_pb2.OUTCOME_SUCCEEDED, **over)


def test_a_reply_that_no_live_run_waits_for_still_tells_of_the_payment():
    order = an_order()
    refund = PaymentSnapshot(payment_id="p", status="REFUNDED", version=4)
    assert hear(order, a_reply(payment=refund)) == []
    assert (order.payment_id, order.payment_status, order.payment_version) == ("p", "REFUNDED", 4)
    assert [event.kind for event in order.events] == ["payment.refunded"]


def test_a_reply_that_no_live_run_waits_for_still_tells_of_the_delivery():
    order = an_order()
    hear(order, a_reply(delivery=DeliverySnapshot(delivery_id="d", status="CANCELLED", version=2)))
    assert (order.delivery_id, order.delivery_status, order.delivery_version) == ("d", "CANCELLED", 2)
    assert [event.kind for event in order.events] == ["delivery.cancelled"]


def test_what_was_heard_before_changes_nothing():
    order = an_order()
    for version in (3, 3, 2):
        hear(order, a_reply(payment=PaymentSnapshot(payment_id="p", status=f"S{version}", version=version)))
    assert (order.payment_status, order.payment_version) == ("S3", 3)


@pytest.mark.parametrize(
    ("outcome", "detail"),
    [(replies_pb2.OUTCOME_FAILED, "It did not work."), (replies_pb2.OUTCOME_REFUSED, "")],
)
def test_the_reason_of_a_failure_is_that_of_the_state_and_of_a_refusal_only_the_commands(outcome, detail):
    order, reason = an_order(), Reason(code="x.no", message="It did not work.")
    payment = PaymentSnapshot(payment_id="p", status="DECLINED", version=1)
    delivery = DeliverySnapshot(delivery_id="d", status="FAILED", version=1)
    for told in ({"payment": payment}, {"delivery": delivery}):
        hear(order, SagaReply(order_id=str(ORDER), outcome=outcome, reason=reason, **told))
    facts = [(e.kind, e.detail) for e in order.events]
    assert facts == [("payment.declined", detail), ("delivery.failed", detail)]


def test_a_reply_about_an_order_that_does_not_exist_changes_nothing():
    order, payment = an_order(), PaymentSnapshot(payment_id="p", status="VOIDED", version=4)
    assert hear(order, SagaReply(order_id=str(GONE), payment=payment)) == []
    assert (order.payment_status, order.events) == ("", [])


@pytest.mark.parametrize(
    ("message", "saga", "ignored"),
    [
        (PaymentChanged, NO_LIVE_RUN, True),
        (DeliveryChanged, NO_LIVE_RUN, True),
        (PaymentChanged, None, False),
        (DeliveryChanged, None, False),
        (SagaReply, NO_LIVE_RUN, False),
        (ProductChanged, None, False),
    ],
)
def test_only_a_change_that_a_step_made_is_left_to_the_reply(message, saga, ignored):
    record = Record(type=message.DESCRIPTOR.full_name, saga=saga)
    assert consumers.told_by_reply(record) is ignored
