"""Waiting for a client's convenience: it ends when the gateway is about to stop, as the doors wait for whoever is inside."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Waits:
    """The waits that are open. `end()` breaks all of them off, and whatever begins later."""

    def __init__(self) -> None:
        self._open: set[asyncio.Task[Any]] = set()
        self._over = False

    async def during(self, work: Coroutine[Any, Any, T]) -> T | None:
        """The result of `work`, or None where the end came first. Raises what `work` raises."""
        if self._over:
            work.close()
            return None
        task = asyncio.ensure_future(work)
        self._open.add(task)
        try:
            await asyncio.wait([task])
            return None if task.cancelled() else task.result()
        finally:
            self._open.discard(task)
            task.cancel()

    def end(self) -> None:
        self._over = True
        for task in self._open:
            task.cancel()
