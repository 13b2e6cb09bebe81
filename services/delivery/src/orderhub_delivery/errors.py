"""What this service refuses on purpose, each with its stable code."""

from __future__ import annotations

from orderhub_chassis.errors import Conflict, NotFound, Unprocessable


class DeliveryNotFound(NotFound):
    code = "delivery.not_found"

    def __init__(self) -> None:
        super().__init__("there is no such delivery")


class OrderNotFound(NotFound):
    code = "delivery.order_not_found"

    def __init__(self) -> None:
        super().__init__("there is no such order, or it was not booked yet")


class WrongStatus(Conflict):
    """The delivery's status does not allow what was asked."""

    code = "delivery.wrong_status"

    def __init__(self, status: str, asked: str) -> None:
        super().__init__(f"a delivery that is {status} cannot be {asked}")
        self.status = status


class Held(Conflict):
    """The order is not confirmed yet; only its saga may touch the delivery."""

    code = "delivery.held"

    def __init__(self) -> None:
        super().__init__("the delivery is held back until its order is confirmed")


class AlreadyAssigned(Conflict):
    code = "delivery.already_assigned"

    def __init__(self) -> None:
        super().__init__("another courier has taken this delivery")


class PickedUp(Conflict):
    code = "delivery.picked_up"

    def __init__(self) -> None:
        super().__init__("the courier has picked it up already")


class AlreadyLive(Conflict):
    code = "delivery.already_live"

    def __init__(self) -> None:
        super().__init__("the order has a delivery that is still live")


class OrderClosed(Conflict):
    """Delivered, finally failed or stopped: no further delivery of this order follows."""

    code = "delivery.order_closed"

    def __init__(self) -> None:
        super().__init__("nothing of this order is delivered any more")


class AgainstRules(Unprocessable):
    """The live-animal rules refuse the route."""

    code = "delivery.against_rules"
