"""Pay back: a refund of what was captured, found again by its metadata."""

from __future__ import annotations

from datetime import datetime

from orderhub_payments.clients.currencies import to_stripe
from orderhub_payments.clients.stripe import wire
from orderhub_payments.clients.stripe.keys import may_be_forgotten
from orderhub_payments.clients.stripe.refusals import check_known, refused
from orderhub_payments.clients.stripe.transport import Transport, read, refusal
from orderhub_payments.clients.stripe.wire import PAGE, REFUNDS, Form, Refund, Refunds
from orderhub_payments.model import PayBack, Refunded, Rejected, Result, Unknown


async def pay_back(stripe: Transport, asked: PayBack, now: datetime) -> Result:
    amount = to_stripe(asked.amount, asked.currency)
    if amount is None:
        return Rejected("invalid_amount")
    if may_be_forgotten(asked.asked, now) and (made := await _made_before(stripe, asked)):
        return await _refund(stripe, amount, made)
    answer = await stripe.change(REFUNDS, wire.refund(asked, amount), asked.key)
    if answer.status == 200:
        return await _refund(stripe, amount, read(answer, Refund))
    if answer.is_saved_fault and (made := await _made_before(stripe, asked)):
        return await _refund(stripe, amount, made)
    error = refusal(answer)
    check_known(error)
    if error.type == "idempotency_error" and (made := await _made_before(stripe, asked)):
        return await _refund(stripe, amount, made)
    return refused(asked, error)


async def _refund(stripe: Transport, amount: int, refund: Refund) -> Result:
    current = refund
    if current.status in ("pending", "requires_action"):
        # The saved answer of a key stays as it was.
        current = await stripe.look(f"{REFUNDS}/{refund.id}", {}, Refund)
    if current.status in ("failed", "canceled"):
        return Rejected(current.failure_reason or f"refund_{current.status}")
    if current.status == "succeeded" and current.amount == amount:
        return Refunded()
    return Unknown(f"{current.id} is {current.status}, {current.amount}")


async def _made_before(stripe: Transport, asked: PayBack) -> Refund | None:
    after: Form = {}
    while True:
        query = {"payment_intent": asked.provider_ref, "limit": str(PAGE), **after}
        page = await stripe.look(REFUNDS, query, Refunds)
        for refund in page.data:
            if (refund.metadata or {}).get("refund_id") == asked.reference:
                return refund
        if not page.has_more or not page.data:
            return None
        after = {"starting_after": page.data[-1].id}
