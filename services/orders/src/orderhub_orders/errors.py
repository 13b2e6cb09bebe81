"""What can go wrong in orders on purpose, with stable codes."""

from __future__ import annotations

from orderhub_chassis.errors import Conflict, Forbidden, NotFound, Unprocessable


class EmailNotVerified(Forbidden):
    """Where auth demands a proved address; a mail and a new access token help."""

    code = "orders.email_not_verified"

    def __init__(self) -> None:
        super().__init__(
            "verify your e-mail address first (auth/email/verify), then refresh the access token"
        )


class OrderNotFound(NotFound):
    code = "orders.not_found"


class SagaNotFound(NotFound):
    code = "orders.saga_not_found"


class UnknownProduct(Unprocessable):
    code = "orders.unknown_product"


class ArchivedProduct(Unprocessable):
    code = "orders.archived_product"


class AmbiguousSku(Unprocessable):
    code = "orders.ambiguous_sku"


class MixedVendors(Unprocessable):
    code = "orders.mixed_vendors"


class MixedCurrencies(Unprocessable):
    code = "orders.mixed_currencies"


class PositionRequired(Unprocessable):
    code = "orders.position_required"


class TooLateToCancel(Conflict):
    code = "orders.too_late_to_cancel"


class NotCancellable(Conflict):
    code = "orders.not_cancellable"


class NotOnHold(Conflict):
    code = "orders.not_on_hold"


class WrongSagaState(Conflict):
    code = "orders.wrong_saga_state"


class IllegalTransition(Exception):
    """Our own code asked for a transition that the model does not have: a bug."""
