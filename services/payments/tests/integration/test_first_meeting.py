"""Two commands of an order that is not known yet, at the same time: what a topic's new version, or records that were put
back by hand, may bring. Money must not stay held for an order that was undone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from orderhub_chassis.consumer import Context
from orderhub_chassis.db import Database, Transaction
from orderhub_chassis.ids import uuid7
from orderhub_chassis.messages import Envelope
from orderhub_contracts.common.v1.common_pb2 import Money
from orderhub_contracts.events.v1.records_pb2 import Record, SagaRef
from orderhub_contracts.payments.v1.commands_pb2 import AuthorizePayment, ReversePayment
from orderhub_payments import store
from orderhub_payments.consumers import HANDLERS

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def db(make_database: Any) -> AsyncIterator[Database]:
    async with Database.open(
        await make_database("orderhub_chassis", "orderhub_payments"), service="payments"
    ) as db:
        yield db


def told(command: Any, *, epoch: int, compensation: bool = False) -> Envelope:
    saga = SagaRef(order_id=command.order_id, run_id="r", step=2, epoch=epoch, compensation=compensation)
    record = Record(id="m", key=command.order_id, type=command.DESCRIPTOR.full_name, saga=saga)
    return Envelope("payments.commands.v1", 0, uuid7(), record, command)


@pytest.mark.parametrize("number", range(5))
async def test_an_authorization_and_its_reversal_that_meet_an_unknown_order_at_once(
    db: Database, number: int
) -> None:
    order, somebody = uuid7(), str(uuid7())
    both_have_looked = asyncio.Barrier(2)

    async def handle(envelope: Envelope) -> None:
        looked = False

        async def work(tx: Transaction) -> None:
            nonlocal looked
            book = await store.load(tx, [order], provider="simulator")
            if not looked:
                looked = True
                await both_have_looked.wait()
            tx.send_all(HANDLERS[type(envelope.payload)](book, envelope, Context(NOW, uuid7)))
            await store.save(tx, book, now=NOW, lease=None)

        await db.run(work)

    authorize = AuthorizePayment(
        order_id=str(order), customer_id=somebody, vendor_id=somebody, amount=Money(amount_minor=500, currency="EUR"),
        token="tok_ok",
    )  # fmt: skip
    reverse = ReversePayment(order_id=str(order), reason="undone")
    await asyncio.gather(handle(told(authorize, epoch=1)), handle(told(reverse, epoch=2, compensation=True)))

    intents = await db.fetch(
        "select kind, status from payment_intents where order_id = $1 order by seq", order
    )
    undone = [("authorize", "pending"), ("reverse", "waiting")]
    assert [tuple(row) for row in intents] in ([], undone), (
        "the reversal found nothing, and the authorization went on"
    )
    book = await db.run(lambda tx: store.load(tx, [order], provider="simulator"))
    assert book.standings[order].epoch == 2
