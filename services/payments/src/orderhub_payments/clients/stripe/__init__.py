"""Stripe's adapter: one request per operation, side by side. Decision 0047 has the table of what means what.

Stripe forgets an idempotency key after 24 hours, and keeps what it answered until then, server errors too. So before a
key is used that it may have forgotten, and where it repeats an error that leaves the outcome open, the adapter looks
what there is.
"""

from orderhub_payments.clients.stripe.adapter import Stripe, stripe

__all__ = ["Stripe", "stripe"]
