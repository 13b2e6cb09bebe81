"""Those who wait for an order to settle, inside this process."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

from orderhub_chassis.db import Database

from orderhub_orders import queries
from orderhub_orders.model import SETTLED, TERMINAL
from orderhub_orders.store import Loaded

RESTING = SETTLED | TERMINAL
LOOK_AGAIN = timedelta(milliseconds=250)


class Waiters:
    """Wakes are hints: a waiter reads its order again. What another replica settles is seen by `look`, for all at once."""

    def __init__(self) -> None:
        self._events: defaultdict[UUID, set[asyncio.Event]] = defaultdict(set)
        self.released = False

    @contextmanager
    def wait_for(self, order_id: UUID) -> Iterator[asyncio.Event]:
        event = asyncio.Event()
        self._events[order_id].add(event)
        try:
            yield event
        finally:
            self._events[order_id].discard(event)
            if not self._events[order_id]:
                del self._events[order_id]

    def saved(self, loaded: Loaded) -> None:
        """Told after each commit."""
        self._wake([order.id for order in loaded.orders.values() if order.status in RESTING])

    async def look(self, db: Database) -> None:
        """Wake those whose order rests. Raises Unavailable."""
        if self._events:
            self._wake(await queries.among(db, list(self._events), RESTING))

    def release(self) -> None:
        """Nobody is to wait any more: the service is about to stop."""
        self.released = True
        self._wake(list(self._events))

    def _wake(self, ids: Sequence[UUID]) -> None:
        for id in ids:
            for event in self._events.get(id, ()):
                event.set()
