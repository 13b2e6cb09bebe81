"""The decisions: saga commands, refunds that people ask for, and the provider's answers. Pure, over a loaded book.

A payment has one pending intent at a time; others wait behind it in order. `advance` starts the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from orderhub_chassis import ids, participant
from orderhub_chassis.consumer import Context
from orderhub_chassis.messages import Envelope, Outgoing
from orderhub_chassis.participant import Standing
from orderhub_contracts.common.v1.common_pb2 import Money
from orderhub_contracts.events.v1.records_pb2 import SagaRef
from orderhub_contracts.orders.v1.replies_pb2 import SagaReply

from orderhub_payments import ledger, messages
from orderhub_payments.errors import IllegalTransition, NotRefundable, RefundExceedsCaptured
from orderhub_payments.ledger import Posting
from orderhub_payments.model import (
    ENDED,
    REFUNDABLE,
    Authorized,
    Captured,
    Declined,
    Intent,
    Kind,
    Operation,
    Payment,
    Refund,
    Refunded,
    Rejected,
    Result,
    Stage,
    Status,
    Transient,
    Unknown,
    Voided,
)

TOKEN_LENGTH: Final = 255
Answer = SagaReply | list[Outgoing] | None


class Job(msgspec.Struct, frozen=True):
    """A pending intent under a lease, and what to ask."""

    intent_id: UUID
    order_id: UUID
    kind: Kind
    attempts: int
    lease_until: datetime
    operation: Operation
    provider: str = "simulator"
    """Whose payment it is; nobody else is ever asked."""


class Book(msgspec.Struct):
    """What a transaction has loaded and locked, and what it decided. Payments by order, intents by payment."""

    standings: dict[UUID, Standing]
    payments: dict[UUID, Payment]
    intents: dict[UUID, list[Intent]]
    provider: str = "simulator"
    new_payments: list[Payment] = msgspec.field(default_factory=list)
    new_intents: list[Intent] = msgspec.field(default_factory=list)
    new_refunds: list[Refund] = msgspec.field(default_factory=list)
    ended_refunds: dict[UUID, str] = msgspec.field(default_factory=dict)
    postings: list[Posting] = msgspec.field(default_factory=list)
    jobs: list[Job] = msgspec.field(default_factory=list)
    """What this transaction has leased to its own worker; to be asked as soon as it is committed."""
    applied: int = 0
    """How many of the provider's answers were not too late."""

    def open_of(self, payment: Payment) -> list[Intent]:
        """Not answered yet: the pending one first, then those that wait, in order."""
        return [i for i in self.intents.get(payment.id, ()) if not i.ended]

    def pending(self, payment: Payment) -> Intent | None:
        return next((i for i in self.open_of(payment) if i.stage is Stage.PENDING), None)

    def enqueue(self, payment: Payment, intent: Intent) -> None:
        self.intents.setdefault(payment.id, []).append(intent)
        self.new_intents.append(intent)

    def grant(self, refund: Refund, payment: Payment) -> None:
        payment.grant_refund(refund.amount)
        self.new_refunds.append(refund)
        self.postings.append(ledger.refund_granted(payment, refund.id, refund.amount))


def authorize_payment(book: Book, envelope: Envelope, context: Context) -> Answer:
    command, saga = envelope.payload, _saga(envelope)
    payment = book.payments.get(ids.parse(command.order_id))
    if payment is not None:
        waits = _waits_for(book, payment, saga)
        return None if waits else messages.wrong_state(payment, "authorized again")
    if code := _cannot_ask(command.amount, command.token):
        return participant.failed(command.order_id, messages.reason(code))
    payment = _new_payment(book, command, context)
    intent = _intent(payment, Kind.AUTHORIZE, payment.amount, _key(saga, "authorize"), envelope, context)
    intent.token = command.token
    book.enqueue(payment, intent)
    return list(advance(book, payment, context))


def _cannot_ask(amount: Money, token: str) -> str:
    """Why there is no use in asking the provider; empty where there is."""
    currency = amount.currency
    if amount.amount_minor <= 0 or not (len(currency) == 3 and currency.isascii() and currency.isupper()):
        return "payments.invalid_amount"
    if not token.isprintable() or not 0 < len(token) <= TOKEN_LENGTH:
        return "payments.invalid_token"
    return ""


def _new_payment(book: Book, command: Any, context: Context) -> Payment:
    payment = Payment(
        id=context.new_id(),
        order_id=ids.parse(command.order_id),
        customer_id=ids.parse(command.customer_id),
        vendor_id=ids.parse(command.vendor_id),
        currency=command.amount.currency,
        amount=command.amount.amount_minor,
        provider=book.provider,
    )
    book.payments[payment.order_id] = payment
    book.new_payments.append(payment)
    return payment


def capture_payment(book: Book, envelope: Envelope, context: Context) -> Answer:
    command, saga = envelope.payload, _saga(envelope)
    payment = book.payments.get(ids.parse(command.order_id))
    if payment is None:
        return participant.refused(command.order_id, messages.WRONG_STATE, "there is no payment to capture")
    if _waits_for(book, payment, saga):
        return None
    if payment.status is not Status.AUTHORIZED or book.open_of(payment):
        return messages.wrong_state(payment, "captured")
    key = _key(saga, "capture")
    book.enqueue(payment, _intent(payment, Kind.CAPTURE, payment.authorized, key, envelope, context))
    return list(advance(book, payment, context))


def reverse_payment(book: Book, envelope: Envelope, context: Context) -> Answer:
    """Waits behind whatever is under way, then undoes what there is; undoing nothing succeeds.

    A refusal of the provider leaves the payment's version higher, so that a retry is asked under a key of its own.
    """
    command, saga = envelope.payload, _saga(envelope)
    payment = book.payments.get(ids.parse(command.order_id))
    if payment is None:
        return messages.nothing_to_undo(command.order_id)
    if _waits_for(book, payment, saga):
        return None
    if payment.status in ENDED and not book.open_of(payment):
        return messages.succeeded(payment)
    key = _key(saga, f"undo:{payment.version}")
    intent = _intent(payment, Kind.REVERSE, 0, key, envelope, context)
    intent.reason = command.reason
    book.enqueue(payment, intent)
    return list(advance(book, payment, context))


def refund_payment(
    book: Book, payment: Payment, refund: Refund, context: Context, *, traceparent: str
) -> list[Outgoing]:
    """A person asks. The amount is set aside at once; the provider is asked when it is its turn.

    Raises NotRefundable or RefundExceedsCaptured.
    """
    if payment.status not in REFUNDABLE or payment.refundable == 0:
        raise NotRefundable(f"a payment that is {payment.status} has nothing left to refund")
    if refund.amount > payment.refundable:
        raise RefundExceedsCaptured(
            f"{refund.amount} is more than the {payment.refundable} that can be refunded"
        )
    book.grant(refund, payment)
    intent = Intent(
        id=context.new_id(), payment_id=payment.id, order_id=payment.order_id, kind=Kind.REFUND,
        amount=refund.amount, provider_key=f"refund:{refund.id}", saga=b"", traceparent=traceparent,
        stage=Stage.WAITING, next_attempt_at=context.now, refund_id=refund.id, reason=refund.reason,
    )  # fmt: skip
    book.enqueue(payment, intent)
    event = messages.changed(
        payment, "payment.refund_requested", detail=refund.reason, traceparent=traceparent
    )
    return [event, *advance(book, payment, context)]


def advance(book: Book, payment: Payment, context: Context) -> Iterator[Outgoing]:
    """Start what waits first, unless something is pending. A reversal is decided here, by what there is now."""
    for intent in book.open_of(payment):
        if intent.stage is Stage.WAITING:
            if intent.kind is Kind.REVERSE:
                yield from _undo(book, payment, intent, context)
            else:
                intent.start(intent.kind, intent.amount)
        if intent.stage is Stage.PENDING:
            return


def _undo(book: Book, payment: Payment, intent: Intent, context: Context) -> Iterator[Outgoing]:
    if payment.status is Status.AUTHORIZED:
        intent.start(Kind.VOID, payment.authorized)
    elif payment.status in REFUNDABLE and payment.refundable:
        refund = Refund(
            context.new_id(), payment.id, payment.order_id, payment.refundable, payment.currency,
            intent.reason, "saga",
        )  # fmt: skip
        book.grant(refund, payment)
        intent.refund_id = refund.id
        intent.start(Kind.REFUND, refund.amount)
    elif payment.status not in ENDED:
        raise IllegalTransition(f"payment {payment.id} is {payment.status}, yet nothing is under way")
    else:
        intent.skip()
        yield messages.answer(book.standings[payment.order_id], intent, messages.succeeded(payment))


class Answered(msgspec.Struct, frozen=True):
    """The provider's answer to a job, and when to ask again should it not be definite."""

    job: Job
    result: Result
    retry_at: datetime


def apply_answer(book: Book, answered: Answered, context: Context) -> Iterator[Outgoing]:
    """The effects of an answer; none when the intent has been answered or leased again meanwhile."""
    job, result = answered.job, answered.result
    payment = book.payments[job.order_id]
    intent = book.pending(payment)
    if intent is None or (intent.id, intent.attempts) != (job.intent_id, job.attempts):
        return
    book.applied += 1
    handler = RESULTS.get((intent.kind, type(result)))
    if handler is None:
        yield from _not_definite(book, payment, intent, result, answered.retry_at)
        return
    reply, event, detail = handler(book, payment, intent, result)
    if intent.saga:
        yield messages.answer(book.standings[payment.order_id], intent, reply)
    yield messages.changed(payment, event, detail=detail, traceparent=intent.traceparent, saga=intent.saga)
    yield from advance(book, payment, context)


def _not_definite(
    book: Book, payment: Payment, intent: Intent, result: Result, retry_at: datetime
) -> Iterator[Outgoing]:
    """The same key again, for ever. Past the pivot the saga is told once that it has to wait."""
    problem = result.reason if isinstance(result, Transient | Unknown) else f"unexpected answer: {result!r}"
    intent.retry(retry_at, problem)
    if intent.kind is Kind.CAPTURE and intent.saga and not intent.told_unknown:
        intent.told_unknown = True
        yield messages.answer(book.standings[payment.order_id], intent, messages.outcome_unknown(payment))


Effect = tuple[SagaReply, str, str]


def _authorized(book: Book, payment: Payment, intent: Intent, result: Authorized) -> Effect:
    payment.authorize(result.provider_ref)
    intent.succeed()
    return messages.succeeded(payment), "payment.authorized", ""


def _declined(book: Book, payment: Payment, intent: Intent, result: Declined) -> Effect:
    code = messages.decline_code(result.code)
    payment.decline(result.provider_ref, code)
    intent.fail(result.code)
    return messages.failed(payment, code), "payment.declined", messages.WORDS[code]


def _not_authorized(book: Book, payment: Payment, intent: Intent, result: Rejected) -> Effect:
    code = messages.rejection_code(result.code)
    payment.fail(code)
    intent.fail(result.code)
    return messages.failed(payment, code, detail=result.code), "payment.failed", messages.WORDS[code]


def _captured(book: Book, payment: Payment, intent: Intent, result: Captured) -> Effect:
    payment.capture()
    intent.succeed()
    book.postings.append(ledger.capture(payment, intent.id))
    return messages.succeeded(payment), "payment.captured", ""


def _not_captured(book: Book, payment: Payment, intent: Intent, result: Rejected) -> Effect:
    payment.keep("payments.capture_rejected")
    intent.fail(result.code)
    reply = messages.failed(payment, "payments.capture_rejected", detail=result.code)
    return reply, "payment.capture_failed", result.code


def _voided(book: Book, payment: Payment, intent: Intent, result: Voided) -> Effect:
    payment.void()
    intent.succeed()
    return messages.succeeded(payment), "payment.voided", intent.reason


def _not_voided(book: Book, payment: Payment, intent: Intent, result: Rejected) -> Effect:
    payment.keep("payments.void_rejected")
    intent.fail(result.code)
    reply = messages.failed(payment, "payments.void_rejected", detail=result.code)
    return reply, "payment.void_failed", result.code


def _refunded(book: Book, payment: Payment, intent: Intent, result: Refunded) -> Effect:
    payment.settle_refund(intent.amount)
    intent.succeed()
    _end_refund(book, intent, "succeeded")
    book.postings.append(ledger.refund_paid(payment, intent.id, intent.amount))
    return messages.succeeded(payment), "payment.refunded", intent.reason


def _not_refunded(book: Book, payment: Payment, intent: Intent, result: Rejected) -> Effect:
    payment.return_refund(intent.amount)
    intent.fail(result.code)
    _end_refund(book, intent, "failed")
    book.postings.append(ledger.refund_returned(payment, intent.id, intent.amount))
    reply = messages.failed(payment, "payments.refund_rejected", detail=result.code)
    return reply, "payment.refund_failed", result.code


def _end_refund(book: Book, intent: Intent, status: str) -> None:
    assert intent.refund_id is not None, "a refund's intent names its refund"
    book.ended_refunds[intent.refund_id] = status


# Which definite answer does what. Any other answer is not definite for that kind: the same key is asked again.
RESULTS: Final[dict[tuple[Kind, type[Any]], Callable[[Book, Payment, Intent, Any], Effect]]] = {
    (Kind.AUTHORIZE, Authorized): _authorized,
    (Kind.AUTHORIZE, Declined): _declined,
    (Kind.AUTHORIZE, Rejected): _not_authorized,
    (Kind.CAPTURE, Captured): _captured,
    (Kind.CAPTURE, Rejected): _not_captured,
    (Kind.VOID, Voided): _voided,
    (Kind.VOID, Rejected): _not_voided,
    (Kind.REFUND, Refunded): _refunded,
    (Kind.REFUND, Rejected): _not_refunded,
}


def _saga(envelope: Envelope) -> SagaRef:
    saga = envelope.saga
    assert saga is not None, "participant.answering lets no command through without its step"
    return saga


def _key(saga: SagaRef, what: str) -> str:
    """The same for every delivery and every retry of the step, whatever the epoch."""
    return f"{saga.order_id}:{saga.run_id}:{saga.step}:{what}"


def _intent(
    payment: Payment, kind: Kind, amount: int, key: str, envelope: Envelope, context: Context
) -> Intent:
    return Intent(
        id=context.new_id(), payment_id=payment.id, order_id=payment.order_id, kind=kind, amount=amount,
        provider_key=key, saga=_saga(envelope).SerializeToString(), traceparent=envelope.record.traceparent,
        stage=Stage.WAITING, next_attempt_at=context.now,
    )  # fmt: skip


def _waits_for(book: Book, payment: Payment, saga: SagaRef) -> bool:
    """This very step is under way already; its answer will come."""
    return any(i.saga and _same_step(SagaRef.FromString(i.saga), saga) for i in book.open_of(payment))


def _same_step(one: SagaRef, other: SagaRef) -> bool:
    return (one.run_id, one.step, one.compensation) == (other.run_id, other.step, other.compensation)
