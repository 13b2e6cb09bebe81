"""What payments tells others: replies to saga steps, and the events of its payments."""

from __future__ import annotations

from typing import Final

from orderhub_chassis import participant
from orderhub_chassis.messages import Outgoing
from orderhub_contracts.common.v1.common_pb2 import Money, Reason
from orderhub_contracts.events.v1.events_pb2 import PaymentChanged
from orderhub_contracts.events.v1.records_pb2 import SagaRef
from orderhub_contracts.orders.v1 import replies_pb2
from orderhub_contracts.orders.v1.replies_pb2 import SagaReply
from orderhub_contracts.payments.v1.commands_pb2 import PaymentSnapshot

from orderhub_payments.model import UNDOING, Intent, Payment, Stage

WRONG_STATE: Final = "payments.wrong_state"
WORDS: Final = {
    "payments.declined": "The card was declined.",
    "payments.insufficient_funds": "The card has insufficient funds.",
    "payments.authentication_required": "The card's issuer wants the customer to confirm, who is not present.",
    "payments.unknown_token": "The payment token is not known to the card provider.",
    "payments.invalid_token": "The payment token is malformed.",
    "payments.invalid_amount": "The amount cannot be charged.",
    "payments.rejected": "The card provider refused the payment.",
    "payments.capture_rejected": "The card provider refused to capture the payment.",
    "payments.void_rejected": "The card provider refused to release the authorized amount.",
    "payments.refund_rejected": "The card provider refused the refund.",
    "payments.outcome_unknown": "The card provider has not said yet whether the payment was captured.",
}
DECLINES: Final = frozenset({"declined", "insufficient_funds", "authentication_required"})
REJECTIONS: Final = frozenset({"unknown_token", "invalid_amount"})


def decline_code(code: str) -> str:
    """The provider's decline code among those that clients know."""
    return f"payments.{code}" if code in DECLINES else "payments.declined"


def rejection_code(code: str) -> str:
    """Why the provider would not even try, among the reasons that clients know."""
    return f"payments.{code}" if code in REJECTIONS else "payments.rejected"


def money(amount: int, currency: str) -> Money:
    return Money(amount_minor=amount, currency=currency)


def snapshot(payment: Payment) -> PaymentSnapshot:
    return PaymentSnapshot(
        payment_id=str(payment.id), status=payment.status, version=payment.version,
        authorized=money(payment.authorized, payment.currency),
        captured=money(payment.captured, payment.currency),
        refunded=money(payment.refunded, payment.currency),
    )  # fmt: skip


def succeeded(payment: Payment) -> SagaReply:
    return SagaReply(
        order_id=str(payment.order_id), outcome=replies_pb2.OUTCOME_SUCCEEDED, payment=snapshot(payment)
    )


def nothing_to_undo(order_id: str) -> SagaReply:
    return SagaReply(order_id=order_id, outcome=replies_pb2.OUTCOME_SUCCEEDED)


def failed(payment: Payment, code: str, *, detail: str = "") -> SagaReply:
    reply = participant.failed(str(payment.order_id), reason(code, detail))
    reply.payment.CopyFrom(snapshot(payment))
    return reply


def reason(code: str, detail: str = "") -> Reason:
    return Reason(code=code, message=f"{WORDS[code]} ({detail})" if detail else WORDS[code])


def wrong_state(payment: Payment, wanted: str) -> SagaReply:
    reply = participant.refused(
        str(payment.order_id), WRONG_STATE, f"a payment that is {payment.status} cannot be {wanted}"
    )
    reply.payment.CopyFrom(snapshot(payment))
    return reply


def outcome_unknown(payment: Payment) -> SagaReply:
    return SagaReply(
        order_id=str(payment.order_id), outcome=replies_pb2.OUTCOME_UNKNOWN, transient=True,
        reason=reason("payments.outcome_unknown"), payment=snapshot(payment),
    )  # fmt: skip


def answer(standing: participant.Standing, intent: Intent, reply: SagaReply) -> Outgoing:
    """The reply to the step that the intent serves, in the trace of the command.

    Recorded, so that it is repeated, unless the provider refused to undo: then an operator's retry asks anew.
    """
    saga = SagaRef.FromString(intent.saga)
    if intent.stage is not Stage.FAILED or intent.kind not in UNDOING:
        participant.settle(standing, saga, reply)
    return Outgoing(reply, saga.order_id, saga=saga, traceparent=intent.traceparent)


def changed(
    payment: Payment, kind: str, *, detail: str = "", traceparent: str = "", saga: bytes = b""
) -> Outgoing:
    """`saga` is the step that led to it, whose reply says the same to orders."""
    event = PaymentChanged(
        payment_id=str(payment.id), order_id=str(payment.order_id), status=payment.status, version=payment.version,
        authorized=money(payment.authorized, payment.currency),
        captured=money(payment.captured, payment.currency),
        refunded=money(payment.refunded, payment.currency),
        kind=kind, detail=detail,
    )  # fmt: skip
    return Outgoing(
        event, str(payment.order_id), vendor_id=str(payment.vendor_id), traceparent=traceparent,
        saga=SagaRef.FromString(saga) if saga else None,
    )  # fmt: skip
