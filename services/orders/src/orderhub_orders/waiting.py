"""Those who wait for an order to settle, inside this process."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from orderhub_orders.model import SETTLED, TERMINAL
from orderhub_orders.store import Loaded

RESTING = SETTLED | TERMINAL


class Waiters:
    """Wakes are hints: a waiter reads the order again, and looks from time to time by itself."""

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
        for order in loaded.orders.values():
            if order.status in RESTING and order.id in self._events:
                for event in self._events[order.id]:
                    event.set()

    def release(self) -> None:
        """Nobody is to wait any more: the service is about to stop."""
        self.released = True
        for events in self._events.values():
            for event in events:
                event.set()
