"""Stripe's webhooks as they arrive: who signed them, when, and which authorization they are about. Pure.

https://docs.stripe.com/webhooks/signatures: `Stripe-Signature: t=<unix seconds>,v1=<hex>[,v1=<hex>…]`, each v1 the
HMAC-SHA256 of `<t>.<body>` by one of the endpoint's secrets; other schemes (v0) are not looked at.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Final

import msgspec
from orderhub_chassis.clock import Clock

from orderhub_payments.errors import (
    EventMalformed,
    OutOfTime,
    SignatureMalformed,
    SignatureWrong,
    WebhooksNotConfigured,
)

TOLERANCE: Final = timedelta(seconds=300)
SIGNATURE_LENGTH: Final = 4096
ID_LENGTH: Final = 255
TELLING: Final = frozenset(
    {
        "payment_intent.amount_capturable_updated",
        "payment_intent.canceled",
        "payment_intent.partially_funded",
        "payment_intent.payment_failed",
        "payment_intent.processing",
        "payment_intent.requires_action",
        "payment_intent.succeeded",
        "charge.captured",
        "charge.expired",
        "charge.refunded",
        "charge.refund.updated",
        "refund.created",
        "refund.failed",
        "refund.updated",
    }
)
"""Types of events after which an authorization may differ from what we have."""


class Hint(msgspec.Struct, frozen=True):
    """All that is taken from an event: its id and type, and the authorization to look at."""

    provider: str
    id: str
    type: str
    provider_ref: str


class _Object(msgspec.Struct):
    id: str = ""
    object: str = ""
    payment_intent: str | None = None


class _Data(msgspec.Struct):
    object: _Object


class _Event(msgspec.Struct):
    id: str
    type: str
    data: _Data


class _Kind(msgspec.Struct):
    """What every event has, also one whose object we would not understand."""

    id: str
    type: str


class Receiver:
    """Believes whoever has one of the secrets, within the tolerance of the injected clock."""

    def __init__(self, secrets: Sequence[bytes], clock: Clock) -> None:
        self._secrets = secrets
        self._clock = clock

    def read(self, signature: str, body: bytes) -> Hint | None:
        """None for an event of no interest. Raises WebhooksNotConfigured, SignatureMalformed, SignatureWrong,
        OutOfTime or EventMalformed.
        """
        if not self._secrets:
            raise WebhooksNotConfigured("this installation takes no webhooks of Stripe")
        at, given = _parts(signature)
        if not self._is_ours(at, given, body):
            raise SignatureWrong("no secret of this endpoint has made this signature over this body")
        age = self._clock.now().timestamp() - int(at)
        if abs(age) > TOLERANCE.total_seconds():
            word = "ago" if age > 0 else "ahead"
            raise OutOfTime(
                f"it was signed {abs(age):.0f} s {word}; {TOLERANCE.total_seconds():.0f} s are taken"
            )
        return _hint(body)

    def _is_ours(self, at: str, given: Sequence[bytes], body: bytes) -> bool:
        """Every pair is compared, in constant time, so that the time tells nothing."""
        signed = b"%s.%s" % (at.encode(), body)
        made = [hmac.new(secret, signed, sha256).hexdigest().encode() for secret in self._secrets]
        equal = [hmac.compare_digest(ours, theirs) for ours in made for theirs in given]
        return any(equal)


def _parts(signature: str) -> tuple[str, list[bytes]]:
    """The time as it was signed, and the signatures. Raises SignatureMalformed."""
    if not signature:
        raise SignatureMalformed("there is no Stripe-Signature header")
    pairs = [part.strip().partition("=") for part in signature[:SIGNATURE_LENGTH].split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    given = [value.encode() for name, _, value in pairs if name == "v1"]
    if len(times) != 1 or not (times[0].isascii() and times[0].isdigit() and len(times[0]) < 16):
        raise SignatureMalformed("Stripe-Signature must have one t with seconds")
    if not given:
        raise SignatureMalformed("Stripe-Signature has no v1")
    return times[0], given


def _hint(body: bytes) -> Hint | None:
    try:
        kind = msgspec.json.decode(body, type=_Kind)
        if kind.type not in TELLING:
            return None
        event = msgspec.json.decode(body, type=_Event)
    except ValueError as error:
        raise EventMalformed(f"the body is no event of Stripe: {error}") from error
    about = event.data.object
    ref = about.id if about.object == "payment_intent" else about.payment_intent
    if not ref:
        # A charge or refund from before PaymentIntents, or of another product of the account: none of ours.
        return None
    if not all(0 < len(text) <= ID_LENGTH and text.isprintable() for text in (event.id, ref)):
        raise EventMalformed("the event's ids are none of Stripe's")
    return Hint("stripe", event.id, event.type, ref)
