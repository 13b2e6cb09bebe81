"""Couriers who take every delivery of the run that is free, pick it up and hand it over."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from orderhub_contracts.auth.v1 import auth_pb2

from orderhub.inside import Inside
from orderhub.load import customers, wire
from orderhub.load.client import Client

COURIERS: Final = 4
LOOK_SECONDS: Final = 0.2
STEPS: Final[tuple[tuple[str, dict[str, str]], ...]] = (
    ("assign", {}),
    ("pickup", {}),
    ("handover", {"recipient": "Load Customer"}),
)


async def hired(inside: Inside, url: str) -> list[str]:
    """Access tokens of couriers made for this run."""
    return list(await asyncio.gather(*(_hire(inside, url) for _ in range(COURIERS))))


async def _hire(inside: Inside, url: str) -> str:
    email, password = f"courier-{secrets.token_hex(8)}@load.orderhub.example", secrets.token_urlsafe(15)
    request = auth_pb2.CreateUserRequest(
        email=email, password=password, roles=["courier"], name="Load Courier"
    )
    await inside.call("auth", inside.auth.CreateUser, request)
    return await customers.token_for(url, email, password)


class Couriers:
    """`is_ours` says of an order id whether it belongs to the run."""

    def __init__(self, client: Client, is_ours: Callable[[str], bool]) -> None:
        self._client = client
        self._is_ours = is_ours
        self._connections = wire.Connections(client.gateways, 2 * COURIERS)
        self._taken: set[str] = set()
        self._tours: set[asyncio.Task[None]] = set()
        self.refused: Counter[str] = Counter()

    async def work(self) -> None:
        """Until cancelled."""
        try:
            while True:
                if not await self._look():
                    await asyncio.sleep(LOOK_SECONDS)
        finally:
            for tour in self._tours:
                tour.cancel()
            await asyncio.gather(*self._tours, return_exceptions=True)
            self._connections.close()

    async def _look(self) -> bool:
        """Take what is free; true when there was something."""
        page = await self._client.get(self._connections.send, "deliveries?status=CREATED&limit=200", 0)
        free = [d for d in page["items"] if d["id"] not in self._taken and self._is_ours(d["order_id"])]
        for delivery in free:
            self._taken.add(delivery["id"])
            tour = asyncio.create_task(self._tour(delivery, len(self._taken) % COURIERS))
            self._tours.add(tour)
            tour.add_done_callback(self._tours.discard)
        if self._tours:
            await asyncio.wait(set(self._tours))
        return bool(free)

    async def _tour(self, delivery: dict[str, Any], who: int) -> None:
        """A cancel may be faster at any step: then the tour ends there."""
        for step, body in STEPS:
            path = f"deliveries/{delivery['id']}/{step}"
            reply = await self._client.post(self._connections.send, path, who, body)
            if reply.status >= 400:
                self.refused[f"{step} {reply.status} {reply.code}"] += 1
                return
