"""Capture and cancel: a PaymentIntent that is there moves on, guarded by its own state."""

from __future__ import annotations

from typing import Final

from orderhub_payments.clients.currencies import to_stripe
from orderhub_payments.clients.stripe.refusals import at_odds, check_known, refused
from orderhub_payments.clients.stripe.transport import Transport, read, refusal
from orderhub_payments.clients.stripe.wire import INTENTS, WITH_CHARGE, Error, Form, Intent
from orderhub_payments.model import Asked, Capture, Captured, Rejected, Result, Unknown, Void, Voided

UNEXPECTED_STATE: Final = "payment_intent_unexpected_state"


async def capture(stripe: Transport, asked: Capture) -> Result:
    amount = to_stripe(asked.amount, asked.currency)
    if amount is None:
        return Rejected("invalid_amount")
    form = {"amount_to_capture": str(amount)}
    intent = await move(stripe, asked.provider_ref, "capture", form, asked.key, asked.asked)
    if isinstance(intent, Error):
        return refused(asked, intent)
    if intent.status == "succeeded":
        return Captured() if intent.amount_received == amount else at_odds(intent)
    if intent.status == "canceled":
        return Rejected("canceled")
    return Unknown(f"{intent.id} is {intent.status}")


async def void(stripe: Transport, asked: Void) -> Result:
    form = {"cancellation_reason": "requested_by_customer"}
    intent = await move(stripe, asked.provider_ref, "cancel", form, asked.key, asked.asked)
    if isinstance(intent, Error):
        return refused(asked, intent)
    if intent.status == "canceled":
        return Voided()
    return Rejected("already_captured") if intent.status == "succeeded" else Unknown(f"is {intent.status}")


async def retrieve(stripe: Transport, ref: str) -> Intent:
    return await stripe.look(f"{INTENTS}/{ref}", WITH_CHARGE, Intent)


async def move(stripe: Transport, ref: str, verb: str, form: Form, key: str, asked: Asked) -> Intent | Error:
    """Capture or cancel. A second one meets the state that the first has left, and does nothing more: so a key
    whose saved answer is a server error may be given up, and one that was forgotten does no harm."""
    path = f"{INTENTS}/{ref}/{verb}"
    answer = await stripe.change(path, form, key)
    if answer.is_saved_fault:
        answer = await stripe.change(path, form, f"{key}:{asked.times}")
    if answer.status == 200:
        return read(answer, Intent)
    error = refusal(answer)
    check_known(error)
    if error.code == UNEXPECTED_STATE:
        return await retrieve(stripe, ref)
    if error.type == "idempotency_error":
        return await _moved_before(stripe, ref, error)
    return error


async def _moved_before(stripe: Transport, ref: str, error: Error) -> Intent | Error:
    """The key was used with other words. Where that moved the intent, its state says so."""
    current = await retrieve(stripe, ref)
    return error if current.status == "requires_capture" else current
