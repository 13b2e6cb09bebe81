"""The `order` commands: what a customer does, with demo defaults for everything that a demo does not care about."""

from __future__ import annotations

import secrets
import time
import uuid
from dataclasses import dataclass
from typing import Any, Final, Literal

from orderhub import gateway, home
from orderhub.exits import Exit, Refused
from orderhub.gateway import Gateway
from orderhub.output import Output

Country = Literal["NL", "DE", "FR", "GB", "US"]
LAST: Final = "last"
SETTLED: Final = frozenset({"CONFIRMED", "REJECTED", "CANCELLED", "ON_HOLD", "IN_DELIVERY", "COMPLETED"})
WATCH_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.1

ADDRESSES: Final[dict[Country, dict[str, Any]]] = {
    "NL": {"line1": "Keizersgracht 1", "city": "Amsterdam", "postal_code": "1015", "lat": 52.38, "lon": 4.89},
    "DE": {"line1": "Torstr. 1", "city": "Berlin", "postal_code": "10119", "lat": 52.53, "lon": 13.41},
    "FR": {"line1": "Rue Lepic 1", "city": "Paris", "postal_code": "75018", "lat": 48.88, "lon": 2.33},
    "GB": {"line1": "Baker St 1", "city": "London", "postal_code": "W1U 8EW", "lat": 51.52, "lon": -0.16},
    "US": {"line1": "Main St 1", "city": "Wichita", "postal_code": "67202", "lat": 37.69, "lon": -97.34},
}
"""Where the demo customers live."""


@dataclass(frozen=True)
class Placing:
    """What to order, for whom, and how it is paid."""

    sku: str
    quantity: int
    ship_to: Country
    pay: str
    vendor: str
    comment: str
    key: str
    wait: int | None


def ship_to(country: Country, name: str = "Demo Customer") -> dict[str, Any]:
    return {"name": name, "country": country, **ADDRESSES[country]}


def place(at: home.Home, out: Output, user: str, wanted: Placing, *, watch: bool) -> Exit:
    api = gateway.as_user(at, user)
    line: dict[str, Any] = {"sku": wanted.sku, "quantity": wanted.quantity}
    if wanted.vendor:
        line["vendor_id"] = wanted.vendor
    body: dict[str, Any] = {
        "lines": [line],
        "ship_to": ship_to(wanted.ship_to),
        "payment": {"token": wanted.pay},
    }
    if wanted.comment:
        body["comment"] = wanted.comment
    headers = {"idempotency-key": wanted.key or secrets.token_hex(16)}
    if wanted.wait is not None:
        headers["prefer"] = f"wait={wanted.wait}"
    order = api.post("orders", body, headers).body
    if watch:
        order = _watched(api, out, order["id"])
    _show(out, order)
    return Exit.DONE


def show(at: home.Home, out: Output, user: str, order_id: str, *, timeline: bool) -> Exit:
    api = gateway.as_user(at, user)
    order = _found(api, order_id)
    items = api.get(f"orders/{order['id']}/timeline")["items"] if timeline else []
    if out.as_json:
        out.result({**order, "timeline": items} if timeline else order)
        return Exit.DONE
    _show(out, order)
    for item in items:
        out.say(_moment(item))
    return Exit.DONE


def listed(at: home.Home, out: Output, user: str, *, status: str, limit: int) -> Exit:
    page = gateway.as_user(at, user).get("orders", status=status, limit=limit)
    rows = [
        (o["id"], o["status"], _lines(o), _money(o["totals"]["total"]), _because(o)) for o in page["items"]
    ]
    out.result(page, out.table("", ("order", "status", "what", "total", "reason"), rows))
    return Exit.DONE


def cancel(at: home.Home, out: Output, user: str, order_id: str, *, reason: str, watch: bool) -> Exit:
    api = gateway.as_user(at, user)
    found = _found(api, order_id)
    order = api.post(f"orders/{found['id']}/cancel", {"reason": reason}).body
    if watch:
        order = _watched(api, out, order["id"])
    _show(out, order)
    return Exit.DONE


def _found(api: Gateway, order_id: str) -> dict[str, Any]:
    if order_id != LAST:
        _check_id(order_id)
        return dict(api.get(f"orders/{gateway.quoted(order_id)}"))
    items = api.get("orders", limit=1)["items"]
    if not items:
        raise Refused("this user has no order yet")
    return dict(items[0])


def _check_id(text: str) -> None:
    try:
        uuid.UUID(text)
    except ValueError:
        raise Refused(
            f"{text!r} is no order id: give one of `orderhub order list`, or last", Exit.USAGE
        ) from None


def _watched(api: Gateway, out: Output, order_id: str) -> dict[str, Any]:
    """Show the timeline as it grows, until the order is settled."""
    until, seen = time.monotonic() + WATCH_SECONDS, 0
    while True:
        order: dict[str, Any] = api.get(f"orders/{order_id}")
        for item in api.get(f"orders/{order_id}/timeline")["items"]:
            if item["seq"] > seen:
                seen = item["seq"]
                out.say(_moment(item), **({"order": order_id, "item": item} if out.as_json else {}))
        if order["status"] in SETTLED:
            return order
        if time.monotonic() > until:
            raise Refused(f"order {order_id} is still {order['status']} after {WATCH_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)


def _moment(item: dict[str, Any]) -> str:
    detail = f"  {item['detail']}" if item.get("detail") else ""
    return f"  {item['at'][11:23]}  {item['seq']:>3}  {item['title']}{detail}"


def _show(out: Output, order: dict[str, Any]) -> None:
    if out.as_json:
        out.result(order)
        return
    out.say(f"order {order['id']}  {order['status']}  {_lines(order)}  {_money(order['totals']['total'])}")
    if order.get("reason"):
        out.say(f"  because: {_because(order)}")


def _because(order: dict[str, Any]) -> str:
    reason = order.get("reason") or {}
    return f"{reason.get('message', '')} ({reason['code']})" if reason.get("code") else ""


def _lines(order: dict[str, Any]) -> str:
    return ", ".join(f"{line['quantity']} × {line['sku']}" for line in order["lines"])


def _money(money: dict[str, Any]) -> str:
    return f"{money['amount_minor'] / 100:.2f} {money['currency']}"
