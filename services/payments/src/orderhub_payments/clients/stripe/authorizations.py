"""Authorize: a PaymentIntent is made and confirmed at once, and closed again where only its customer could go on."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from orderhub_payments.clients.currencies import to_stripe
from orderhub_payments.clients.stripe import wire
from orderhub_payments.clients.stripe.keys import may_be_forgotten
from orderhub_payments.clients.stripe.moves import move, retrieve
from orderhub_payments.clients.stripe.refusals import refused
from orderhub_payments.clients.stripe.transport import MISSING, NotDefinite, Transport, read, refusal
from orderhub_payments.clients.stripe.wire import INTENTS, OPEN, Error, Intent, Intents
from orderhub_payments.model import Authorize, Authorized, Declined, Rejected, Result, Unknown

INDEXED: Final = timedelta(hours=1)
"""After this a search finds what was made; Stripe says under a minute, and longer in an outage."""
AMOUNTS: Final = frozenset({"amount_too_large", "amount_too_small", "invalid_charge_amount"})


async def authorize(stripe: Transport, asked: Authorize, now: datetime) -> Result:
    amount = to_stripe(asked.amount, asked.currency)
    if amount is None:
        return Rejected("invalid_amount")
    if may_be_forgotten(asked.asked, now) and (found := await _made_before(stripe, asked)):
        return await _authorization(stripe, asked, found)
    answer = await stripe.change(INTENTS, wire.authorization(asked, amount), asked.key)
    if answer.status == 200:
        return await _authorization(stripe, asked, read(answer, Intent))
    if answer.is_saved_fault and (found := await _made_before(stripe, asked)):
        return await _authorization(stripe, asked, found)
    error = refusal(answer)
    if error.type == "idempotency_error":
        return await _asked_differently(stripe, asked, error, now)
    return await _not_authorized(stripe, asked, error)


async def _not_authorized(stripe: Transport, asked: Authorize, error: Error) -> Result:
    if error.payment_intent is not None:
        closed = await _close(stripe, asked, error.payment_intent)
        if closed.status != "canceled":
            return await _authorization(stripe, asked, closed)
    if error.type == "card_error":
        ref = error.payment_intent.id if error.payment_intent else ""
        return Declined(ref, error.decline_code or error.code or "declined")
    if error.code == MISSING and error.param == "payment_method":
        return Rejected("unknown_token")
    if error.code in AMOUNTS:
        return Rejected("invalid_amount")
    return refused(asked, error)


async def _asked_differently(stripe: Transport, asked: Authorize, error: Error, now: datetime) -> Result:
    """The key was used with other words, by an older release say: what came of it has to be found."""
    if found := await _made_before(stripe, asked):
        return await _authorization(stripe, asked, found)
    since = asked.asked.since
    if since is not None and now - since < INDEXED:
        return Unknown("the key was used for another request; what came of it is not to be found yet")
    return refused(asked, error)


async def _authorization(stripe: Transport, asked: Authorize, intent: Intent) -> Result:
    """What a PaymentIntent says of the authorization; one that waits for its customer is closed first."""
    current = intent
    if current.status == "processing":
        # The saved answer of a key stays as it was.
        current = await retrieve(stripe, intent.id)
    if current.status in OPEN:
        current = await _close(stripe, asked, current)
    if current.status == "canceled":
        # Before the first answer nobody of ours could cancel it: it was closed above, now or earlier.
        return Declined(current.id, _why_closed(intent))
    wanted = (to_stripe(asked.amount, asked.currency), asked.currency)
    fits = (current.amount, current.currency.upper()) == wanted
    if fits and current.status in ("requires_capture", "succeeded"):
        return Authorized(current.id)
    return Unknown(f"{current.id} is {current.status}, {current.amount} {current.currency}")


async def _close(stripe: Transport, asked: Authorize, intent: Intent) -> Intent:
    """Nothing stays open at Stripe that a customer could still confirm. Gives the intent as it is then."""
    if intent.status not in OPEN:
        return await retrieve(stripe, intent.id)
    form = {"cancellation_reason": "abandoned"}
    closed = await move(stripe, intent.id, "cancel", form, f"{asked.key}:close", asked.asked)
    if isinstance(closed, Error):
        raise NotDefinite(Unknown(f"{intent.id} could not be closed: {closed.word}"))
    return closed


async def _made_before(stripe: Transport, asked: Authorize) -> Intent | None:
    """The intent of this payment, one that holds money before one that does not."""
    query = {"query": f"metadata['payment_id']:'{asked.payment_id}'", "limit": "10"}
    found = (await stripe.look(f"{INTENTS}/search", query, Intents)).data
    return min(found, key=lambda intent: intent.status in OPEN | {"canceled"}, default=None)


def _why_closed(intent: Intent) -> str:
    return "authentication_required" if intent.status == "requires_action" else "declined"
