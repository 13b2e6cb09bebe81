"""One timer for everybody: it tells apart who is late, who is not, and who was cancelled by somebody else."""

from __future__ import annotations

import asyncio

import pytest
from orderhub_gateway.deadlines import Deadline


async def waiting(deadline: Deadline, event: asyncio.Event) -> str:
    try:
        with deadline:
            await event.wait()
    except TimeoutError:
        # Not a cancelled task any more: it can still wait for something, such as its answer being sent.
        await asyncio.sleep(0)
        return "late"
    return "in time"


async def test_who_is_late_is_told_and_who_is_not_is_left_alone() -> None:
    deadline, never, soon = Deadline(0.05), asyncio.Event(), asyncio.Event()
    late = [asyncio.create_task(waiting(deadline, never)) for _ in range(3)]
    quick = asyncio.create_task(waiting(deadline, soon))
    await asyncio.sleep(0)
    soon.set()
    assert await quick == "in time"
    assert await asyncio.gather(*late) == ["late"] * 3
    assert [task.cancelling() for task in late] == [0, 0, 0]


async def test_the_next_ones_have_their_own_time() -> None:
    deadline, loop = Deadline(0.1), asyncio.get_running_loop()
    first = asyncio.create_task(waiting(deadline, asyncio.Event()))
    await asyncio.wait([first], timeout=0.05)
    begun = loop.time()
    assert await waiting(deadline, asyncio.Event()) == "late"
    assert loop.time() - begun > 0.09
    assert await first == "late"
    assert await waiting(deadline, asyncio.Event()) == "late"


async def test_who_is_cancelled_by_somebody_else_is_cancelled() -> None:
    task = asyncio.create_task(waiting(Deadline(60), asyncio.Event()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_the_block_is_the_blocks() -> None:
    with pytest.raises(ValueError, match="mine"), Deadline(60):
        raise ValueError("mine")
