"""What only waits ends at a stop; what fails or is cancelled meanwhile is nobody else's."""

from __future__ import annotations

import asyncio

import pytest
from orderhub_gateway.waits import Waits


async def test_the_result_is_what_the_work_gives() -> None:
    async def work() -> str:
        await asyncio.sleep(0)
        return "done"

    assert await Waits().during(work()) == "done"


async def test_what_the_work_raises_is_raised() -> None:
    async def work() -> str:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        await Waits().during(work())


async def test_the_end_breaks_off_what_is_open_and_what_comes_later() -> None:
    waits, begun, never = Waits(), asyncio.Event(), asyncio.Event()

    async def work() -> str:
        begun.set()
        await never.wait()
        return "done"

    waiting = asyncio.create_task(waits.during(work()))
    await begun.wait()
    waits.end()
    assert await waiting is None
    begun.clear()
    assert await waits.during(work()) is None
    assert not begun.is_set()


async def test_who_is_cancelled_takes_the_work_along() -> None:
    waits, begun, ended = Waits(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    waiting = asyncio.create_task(waits.during(work()))
    await begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.wait_for(ended.wait(), 10)
