"""What a user does: log in; place, show, list and cancel orders."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from orderhub.cli.common import COMMON, Common, Flag, User
from orderhub.exits import Exit

Country = Literal["NL", "DE", "FR", "GB", "US"]
Status = Literal[
    "PENDING", "CONFIRMED", "IN_DELIVERY", "COMPLETED", "ON_HOLD", "REJECTED", "CANCELLING", "CANCELLED"
]


def _visible_ascii(_: Any, text: Any) -> None:
    if text and not (len(text) <= 255 and all("!" <= character <= "~" for character in text)):
        raise ValueError("Must be 1 to 255 visible ASCII characters.")


def token(user: str, /, *, common: Common = COMMON) -> int:
    """Log a user in and print the access token alone.

    Parameters
    ----------
    user
        customer, customer2, courier, operator, a vendor's name (blue-lagoon-aquatics), or an e-mail address with its
        password in ORDERHUB_PASSWORD and, where it has a second factor, a code in ORDERHUB_MFA_CODE.
    """
    from orderhub import gateway

    found = gateway.as_user(common.place, user).token
    common.out.result({"access_token": found}) if common.json else print(found)
    return Exit.DONE


order = App(name="order", help="Place, show, list and cancel orders as a demo user.")


@order.command(name="place")
def order_place(
    *,
    sku: str,
    quantity: Annotated[int, Parameter(validator=Number(gte=1, lte=1_000_000))] = 1,
    ship_to: Country = "NL",
    pay: str = "tok_ok",
    user: User = "customer",
    vendor: str = "",
    comment: str = "",
    key: Annotated[str, Parameter(validator=_visible_ascii)] = "",
    wait: Annotated[int, Parameter(validator=Number(gte=0, lte=30))] | None = None,
    watch: Flag = False,
    common: Common = COMMON,
) -> int:
    """Place an order of one line.

    Parameters
    ----------
    sku
        What to order.
    quantity
        How many.
    ship_to
        The country whose demo address it goes to.
    pay
        The simulator's card: tok_ok, tok_declined, tok_insufficient_funds, tok_timeout, tok_flaky.
    user
        Who orders.
    vendor
        The vendor's id, where several have that SKU.
    comment
        For the vendor.
    key
        The Idempotency-Key; a new one each time where it is not given.
    wait
        Let the gateway wait so many seconds, 30 at most, for the order to settle.
    watch
        Show the timeline as it grows, until the order is settled.
    """
    from orderhub import ordering

    wanted = ordering.Placing(sku, quantity, ship_to, pay, vendor, comment, key, wait)
    return ordering.place(common.place, common.out, user, wanted, watch=watch)


@order.command(name="show")
def order_show(
    order_id: str = "last",
    /,
    *,
    user: User = "customer",
    timeline: Flag = False,
    common: Common = COMMON,
) -> int:
    """Show an order.

    Parameters
    ----------
    order_id
        Its id; `last` is the user's newest.
    user
        Whose eyes to look with.
    timeline
        With its whole history.
    """
    from orderhub import ordering

    return ordering.show(common.place, common.out, user, order_id, timeline=timeline)


@order.command(name="list")
def order_list(
    *,
    user: User = "customer",
    status: Status | None = None,
    limit: Annotated[int, Parameter(validator=Number(gte=1, lte=200))] = 20,
    common: Common = COMMON,
) -> int:
    """List orders, the newest first.

    Parameters
    ----------
    user
        A customer's own, a vendor's own, or all for the operator.
    status
        Only those in this state.
    limit
        At most so many, 200 at most.
    """
    from orderhub import ordering

    return ordering.listed(common.place, common.out, user, status=status or "", limit=limit)


@order.command(name="cancel")
def order_cancel(
    order_id: str = "last",
    /,
    *,
    user: User = "customer",
    reason: str = "changed my mind",
    watch: Flag = False,
    common: Common = COMMON,
) -> int:
    """Cancel an order.

    Parameters
    ----------
    order_id
        Its id; `last` is the user's newest.
    user
        Who cancels.
    reason
        Kept with the order.
    watch
        Show the timeline as it grows, until the order is settled.
    """
    from orderhub import ordering

    return ordering.cancel(common.place, common.out, user, order_id, reason=reason, watch=watch)
