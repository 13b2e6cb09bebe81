"""A task is ended although it loses a cancellation."""

from __future__ import annotations

import asyncio

from orderhub_chassis import tasks


async def test_a_task_that_loses_a_cancellation_is_ended() -> None:
    lost, begun = 0, asyncio.Event()

    async def forgetful() -> None:
        nonlocal lost
        while True:
            begun.set()
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if lost == 2:
                    raise
                lost += 1

    task = asyncio.create_task(forgetful())
    await begun.wait()
    await asyncio.wait_for(tasks.end(task), 30)
    assert task.cancelled()
    assert lost == 2


async def test_what_a_task_ended_with_is_nobody_elses() -> None:
    async def broken() -> None:
        raise LookupError("a bug")

    task = asyncio.create_task(broken())
    await asyncio.wait([task])
    await tasks.end(task)
    assert isinstance(task.exception(), LookupError)
