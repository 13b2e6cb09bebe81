"""What people do with a running product, over its public API: customers, vendors, couriers, the operator, the provider."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from itertools import count
from typing import Any, Final

import httpx
from installation import Installation
from orderhub import ordering

SETTLED: Final = frozenset({"CONFIRMED", "REJECTED", "CANCELLED", "ON_HOLD", "IN_DELIVERY", "COMPLETED"})
VENDOR: Final = "Scales and Tails"
numbers = count(1)


async def eventually(condition: Callable[[], Awaitable[Any]], within: float = 30.0) -> Any:
    """Polls until the condition is truthy and returns its value."""
    deadline = time.monotonic() + within
    while not (value := await condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"did not become true within {within} s: {condition!r}")
        await asyncio.sleep(0.02)
    return value


class Person:
    """Somebody with a token. `get` and `post` return the answer whatever its status."""

    def __init__(self, http: httpx.AsyncClient, token: str) -> None:
        self._http = http
        self._headers = {"authorization": f"Bearer {token}"}

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self._http.get(path, params=query, headers=self._headers)

    async def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self._http.post(path, json=body or {}, headers={**self._headers, **named})

    async def patch(self, path: str, body: Any) -> httpx.Response:
        return await self._http.patch(path, json=body, headers=self._headers)

    async def delete(self, path: str) -> httpx.Response:
        return await self._http.delete(path, headers=self._headers)

    async def found(self, path: str, **query: Any) -> Any:
        """The body of a GET that has to succeed."""
        answer = await self.get(path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def done(self, path: str, body: Any = None, **headers: str) -> Any:
        """The body of a POST that has to succeed."""
        answer = await self.post(path, body, **headers)
        assert answer.status_code < 300, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    # --- orders ---

    async def place(self, *lines: dict[str, Any], pay: str = "tok_ok", to: Any = "DE", **headers: str) -> Any:
        """A new order, as accepted. `wait="10"` waits for it to settle."""
        answer = await self.ask_for(*lines, pay=pay, to=to, **headers)
        assert answer.status_code in (200, 202), answer.text
        return answer.json()

    async def ask_for(
        self, *lines: dict[str, Any], pay: str = "tok_ok", to: Any = "DE", wait: str = "", **headers: str
    ) -> httpx.Response:
        headers = {"idempotency_key": secrets.token_hex(16), **headers}
        if wait:
            headers["prefer"] = f"wait={wait}"
        return await self.post("orders", an_order(*lines, pay=pay, to=to), **headers)

    async def order(self, id: str) -> Any:
        return await self.found(f"orders/{id}")

    async def settled(self, id: str, *states: str, within: float = 30.0) -> Any:
        """The order as soon as it is in one of the states (default: any settled one)."""

        async def there() -> Any:
            order = await self.order(id)
            return order if order["status"] in (states or SETTLED) else None

        return await eventually(there, within)

    async def timeline(self, id: str) -> list[str]:
        """The kinds of its facts, in their order; `seq` has no gap."""
        items = (await self.found(f"orders/{id}/timeline"))["items"]
        assert [item["seq"] for item in items] == list(range(1, len(items) + 1)), items
        return [item["kind"] for item in items]

    async def cancel(self, id: str, **headers: str) -> httpx.Response:
        return await self.post(f"orders/{id}/cancel", {"reason": "changed my mind"}, **headers)

    async def payment(self, order_id: str) -> Any:
        """The order's only payment, None where there is none."""
        items = (await self.found("payments", order_id=order_id))["items"]
        assert len(items) <= 1, items
        return items[0] if items else None

    async def delivery(self, order_id: str) -> Any:
        """The order's last delivery, None where there is none."""
        items = (await self.found("deliveries", order_id=order_id))["items"]
        return items[0] if items else None


def an_order(*lines: dict[str, Any], pay: str = "tok_ok", to: Any = "DE") -> dict[str, Any]:
    address = ordering.ship_to(to, "Test Customer") if isinstance(to, str) else to
    return {"lines": list(lines), "ship_to": address, "payment": {"token": pay}}


def of(product: Any, quantity: int = 1) -> dict[str, Any]:
    """A line of an order."""
    return {"product_id": product["id"], "quantity": quantity}


class Shop:
    """A running installation as its users see it."""

    def __init__(self, hub: Installation, http: httpx.AsyncClient) -> None:
        self.hub = hub
        self.http = http

    async def as_(self, who: str) -> Person:
        """A demo user: customer, customer2, courier, operator, or a vendor by name."""
        made_at, token = self.hub.tokens.get(who, (0.0, ""))
        if time.time() - made_at > self.hub.people.token_seconds:
            token = await self.hub.people.token(self, who)
            self.hub.tokens[who] = (time.time(), token)
        return Person(self.http, token)

    async def newcomer(self) -> Person:
        """A customer of today."""
        return Person(self.http, await self.hub.people.newcomer(self))

    async def employee(self, role: str) -> Person:
        """Another user of a role."""
        return Person(self.http, await self.hub.people.employee(self, role))

    # --- the vendor ---

    async def product(self, stock: int = 100, vendor: str = VENDOR, **over: Any) -> Any:
        """A fresh product that no other test knows."""
        body = {
            "sku": f"E2E-{secrets.token_hex(6)}", "title": f"Thing {next(numbers)}", "kind": "good",
            "stock": stock, "price": {"amount_minor": 1500, "currency": "EUR"}, **over,
        }  # fmt: skip
        return await (await self.as_(vendor)).done("products", body)

    async def fish(self, stock: int = 100) -> Any:
        """A product of grown neon tetras, which may travel: an order of them has every step of its saga."""
        facts = {"life_stage": "adult"}
        return await self.product(
            stock=stock, kind="countable", species="paracheirodon_axelrodi", facts=facts
        )

    async def snake(self, count: int = 1) -> tuple[Any, list[Any]]:
        """A product of individual grown corn snakes, which may travel, and its animals, known to orders."""
        seller = await self.as_(VENDOR)
        price = {"amount_minor": 9900, "currency": "EUR"}
        species = "pantherophis_guttatus"
        product = await self.product(kind="individual", species=species, price=price, stock=0)
        facts = {"life_stage": "adult", "born_on": f"{date.today() - timedelta(days=400)}", "weight_kg": 0.3}
        animals = [
            await seller.done(f"products/{product['id']}/animals", {"facts": facts}) for _ in range(count)
        ]
        for animal in animals:
            await self.until_orders_knows(animal["id"], "free")
        return product, animals

    async def until_orders_can_sell(self, product: Any) -> None:
        """Without asking inventory."""

        async def known() -> bool:
            return bool(
                await self.hub.sql("orders", "select from product_views where id = $1", product["id"])
            )

        await eventually(known)

    async def until_orders_knows(self, animal_id: str, status: str) -> None:
        """Orders learns of animals by events, a moment later."""

        async def known() -> bool:
            found = await self.hub.sql("orders", "select status from animal_views where id = $1", animal_id)
            return bool(found) and found[0]["status"] == status

        await eventually(known)

    async def animal(self, product_id: str, animal_id: str) -> Any:
        """As its vendor sees it."""
        found = await (await self.as_(VENDOR)).found(f"products/{product_id}/animals")
        return next(animal for animal in found["items"] if animal["id"] == animal_id)

    async def stock(self, product: Any) -> tuple[int, int]:
        """(on hand, reserved)."""
        found = (await self.http.get(f"products/{product['id']}")).json()["stock"]
        assert found["available"] == found["on_hand"] - found["reserved"], found
        return found["on_hand"], found["reserved"]

    # --- the courier ---

    async def carried(self, order_id: str, *steps: str) -> Any:
        """The courier does these steps with the order's delivery, as soon as it is free; returns the delivery."""
        courier = await self.as_("courier")
        delivery = await eventually(lambda: self.free_delivery(order_id))
        for step in steps:
            body = {"recipient": "Test Customer"} if step == "handover" else {}
            body = {"reason": "nobody at home, three times"} if step == "fail" else body
            delivery = await courier.done(f"deliveries/{delivery['id']}/{step}", body)
        return delivery

    async def free_delivery(self, order_id: str) -> Any:
        found = await (await self.as_("courier")).found("deliveries", order_id=order_id)
        return found["items"][0] if found["items"] else None

    # --- the card provider, past the product ---

    async def at_provider(self, order_id: str) -> list[Any]:
        """All authorizations that the provider has under this order."""
        try:
            found = await self.provider("GET", "/v1/authorizations", params={"reference": order_id})
        except (
            httpx.TransportError
        ):  # a provider that has just been killed; an answer is there when it is back
            await asyncio.sleep(0.1)
            return await self.at_provider(order_id)
        return list(found.json()["items"])

    async def provider(self, method: str, path: str, **options: Any) -> httpx.Response:
        key = self.hub.place.secrets()["simulator_api_key"]
        headers = {"authorization": f"Bearer {key}", **options.pop("headers", {})}
        url = f"{self.hub.runtime.addresses['simulator']}{path}"
        return await self.http.request(method, url, headers=headers, **options)
