"""What payments refuses, with a stable code each."""

from __future__ import annotations

from orderhub_chassis.errors import Conflict, FieldError, Invalid, NotFound, Unprocessable


class PaymentNotFound(NotFound):
    """There is none, or it is a stranger's."""

    code = "payments.not_found"


class IllegalTransition(Conflict):
    """Our own code asked for what the state does not allow: a bug, never an answer to a command."""

    code = "payments.illegal_transition"


class RefundExceedsCaptured(Unprocessable):
    code = "payments.refund_exceeds_captured"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, errors=(FieldError("/amount/amount_minor", self.code, detail),))


class NotRefundable(Conflict):
    """No money was captured, or all of it has been given back."""

    code = "payments.not_refundable"


class CurrencyMismatch(Unprocessable):
    code = "payments.currency_mismatch"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, errors=(FieldError("/amount/currency", self.code, detail),))


class WebhooksNotConfigured(NotFound):
    code = "payments.webhooks_not_configured"


class SignatureMalformed(Invalid):
    """The header has no time, or no signature of a scheme that we know."""

    code = "payments.webhook_signature_malformed"


class SignatureWrong(Invalid):
    """None of the secrets makes this signature over this body."""

    code = "payments.webhook_signature_wrong"


class OutOfTime(Invalid):
    """Signed by the provider, and so long ago (or ahead) that anybody may have replayed it."""

    code = "payments.webhook_out_of_time"


class EventMalformed(Invalid):
    code = "payments.webhook_malformed"
