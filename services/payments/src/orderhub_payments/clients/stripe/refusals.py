"""What Stripe definitely refuses. Unless it is the card's fault, it is ours, and somebody has to look."""

from __future__ import annotations

from orderhub_chassis.telemetry import log

from orderhub_payments import metrics
from orderhub_payments.clients.stripe.transport import MISSING, misconfigured
from orderhub_payments.clients.stripe.wire import Error, Intent
from orderhub_payments.model import Operation, Rejected


def refused(asked: Operation, error: Error) -> Rejected:
    if error.type != "card_error":
        metrics.REFUSALS.labels("stripe").inc()
        log("stripe").error(
            "stripe.refused", operation=type(asked).__name__, key=asked.key, type=error.type, code=error.code,
            param=error.param, reason=error.message,
        )  # fmt: skip
    return Rejected(error.word)


def check_known(error: Error) -> None:
    """What Stripe gave us an id for is there: a key that does not see it is another account's or mode's, and to give
    the payment up for that would be wrong. Raises NotDefinite."""
    if error.code == MISSING:
        log("stripe").error("stripe.not_its_account", reason=error.message)
        raise misconfigured("this API key's account does not know the payment: is it another's?", away=False)


def at_odds(intent: Intent) -> Rejected:
    """Somebody captured another amount at Stripe; reconcile shows both sides."""
    metrics.REFUSALS.labels("stripe").inc()
    log("stripe").error("stripe.captured_differently", ref=intent.id, captured=intent.amount_received)
    return Rejected("captured_differently")
