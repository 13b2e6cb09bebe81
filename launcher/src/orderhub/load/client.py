"""What the load does over the wire: each call is repeated, under its own key, until the gateway says something definite."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from orderhub.load import wire

AGAIN = frozenset({429, 502, 503, 504})
IN_FLIGHT = "idempotency.in_flight"
PAGE = 200
Send = Callable[[bytes], Any]


class Seen(NamedTuple):
    """An order's status as a list shows it, and the code of its reason, empty where it has none."""

    status: str
    reason: str


def _seen(order: dict[str, Any]) -> Seen:
    return Seen(order["status"], (order["reason"] or {}).get("code", ""))


class GaveUp(Exception):
    """No definite answer within the patience."""


class Client:
    """Calls as one of the customers (or couriers) of the run. `retries` counts why anything was repeated."""

    def __init__(
        self, gateways: list[str], tokens: Sequence[str], *, patience: float, retries: Counter[str]
    ) -> None:
        self.gateways = gateways
        self.tokens = tokens
        self._host = gateways[0].removeprefix("http://")
        self._patience = patience
        self._retries = retries

    async def definite(self, send: Send, request: bytes) -> wire.Reply:
        """Repeats while the gateway is away, busy, or at work on the same key. Raises GaveUp."""
        until = time.monotonic() + self._patience
        while True:
            try:
                reply: wire.Reply = await send(request)
                if reply.status not in AGAIN and not (reply.status == 409 and reply.code == IN_FLIGHT):
                    return reply
                reason, pause = f"{reply.status} {reply.code}".strip(), reply.retry_after or 0.1
            except wire.Broken:
                reason, pause = "connection broken", 0.1
            self._retries[reason] += 1
            if time.monotonic() > until:
                raise GaveUp(reason)
            await asyncio.sleep(pause)

    def placing(self, customer: int, body: bytes, *, wait: int) -> bytes:
        headers = {"idempotency-key": secrets.token_hex(16)}
        if wait:
            headers["prefer"] = f"wait={wait}"
        return self.request("POST", "orders", customer, body, headers)

    def request(
        self, method: str, path: str, who: int, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> bytes:
        return wire.request(method, path, self._host, self.tokens[who], body, headers)

    async def get(self, send: Send, path: str, who: int) -> Any:
        reply = await self.definite(send, self.request("GET", path, who))
        if reply.status != 200:
            raise GaveUp(f"GET {path}: {reply.status} {reply.code}")
        return reply.json()

    async def post(self, send: Send, path: str, who: int, body: Any) -> wire.Reply:
        return await self.definite(send, self.request("POST", path, who, msgspec.json.encode(body)))

    async def newest(self, send: Send, who: int, status: str) -> str:
        """The id of the customer's newest order in that state, empty where there is none."""
        items = (await self.get(send, f"orders?status={status}&limit=1", who))["items"]
        return str(items[0]["id"]) if items else ""

    async def statuses(self, send: Send, who: int, *, since: str) -> AsyncIterator[dict[str, Seen]]:
        """Order id → what it has come to, of a customer's orders from `since` on, page by page; ids are in the order
        of time."""
        cursor = ""
        while True:
            page = await self.get(send, f"orders?limit={PAGE}{f'&cursor={cursor}' if cursor else ''}", who)
            found = {order["id"]: _seen(order) for order in page["items"]}
            yield found
            cursor = page["next_cursor"]
            if not cursor or min(found, default="") < since:
                return
