"""What each saga command meets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from google.protobuf.message import Message
from orderhub_chassis import ids
from orderhub_chassis.consumer import ConsumerSpec, Context, Decision
from orderhub_chassis.db import Transaction
from orderhub_chassis.messages import Envelope
from orderhub_chassis.participant import answering
from orderhub_contracts import topics
from orderhub_contracts.payments.v1.commands_pb2 import AuthorizePayment, CapturePayment, ReversePayment

from orderhub_payments import store
from orderhub_payments.commands import Book, authorize_payment, capture_payment, reverse_payment
from orderhub_payments.worker import Worker

HANDLERS: Final[Mapping[type[Message], Decision[Book]]] = {
    AuthorizePayment: answering(authorize_payment),
    CapturePayment: answering(capture_payment),
    ReversePayment: answering(reverse_payment),
}


def consumer(worker: Worker, provider: str) -> ConsumerSpec[Book]:
    """Commands become intents; the answers come from the worker, who is handed its jobs after the commit."""

    async def load(tx: Transaction, envelopes: Sequence[Envelope], context: Context) -> Book:
        return await store.load(tx, {_order_of(e.payload) for e in envelopes}, provider=provider)

    async def save(tx: Transaction, book: Book, context: Context) -> None:
        await store.save(tx, book, now=context.now, lease=worker.lease())

    return ConsumerSpec(
        name="payments",
        topics=topics.READERS["payments"],
        load=load,
        handlers=HANDLERS,
        save=save,
        after_commit=lambda book: worker.offer(book.jobs),
    )


def _order_of(command: Any) -> UUID:
    return ids.parse(command.order_id)
