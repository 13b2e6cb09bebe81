"""Taking turns: a crowd that would all begin at once begins one after another."""

from __future__ import annotations

import asyncio
from types import TracebackType

from orderhub_gateway.errors import UpstreamBusy


class Turns:
    """`async with turns:` — so many at once, the others in the order they came, and no more than `waiting` of them.

    For requests with a password: what twenty of them do before and after their hashes stands in the way of everything
    else on this loop when they do it together, and they are no sooner done for it, as hashes take turns anyway.
    """

    def __init__(self, at_once: int, waiting: int) -> None:
        self._turns = asyncio.Semaphore(at_once)
        self._room = at_once + waiting

    async def __aenter__(self) -> None:
        """Raises UpstreamBusy."""
        if self._room == 0:
            raise UpstreamBusy
        self._room -= 1
        try:
            await self._turns.acquire()
        except BaseException:
            self._room += 1
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._turns.release()
        self._room += 1
