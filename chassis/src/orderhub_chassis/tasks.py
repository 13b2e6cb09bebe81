"""Ending tasks that would run for ever."""

from __future__ import annotations

import asyncio
from typing import Any, Final

AGAIN_SECONDS: Final = 0.1


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel them until they are over; whatever they end with is theirs.

    Once is not enough: `asyncio.wait_for` loses a cancellation that comes while what it waits for ends (CPython issue
    37658, mended in 3.12), and redis-py writes each command under one. A loop over Redis then goes on as if nothing had
    been said, and who waits for its end does so for ever.
    """
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)
