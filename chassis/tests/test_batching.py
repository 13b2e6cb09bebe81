"""Micro-batches: nobody is forgotten, whenever the request comes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from orderhub_chassis.batching import Batcher


async def doubled(numbers: Sequence[int]) -> Sequence[int | BaseException]:
    await asyncio.sleep(0)
    return [ValueError("negative") if number < 0 else 2 * number for number in numbers]


@pytest.mark.parametrize("parallel", [1, 2])
async def test_a_request_in_the_very_turn_in_which_a_batch_ends_is_answered(parallel: int) -> None:
    batcher = Batcher(doubled, size=10, parallel=parallel)

    async def one_after_the_other(begin: int) -> list[int]:
        return [await batcher.submit(number) for number in range(begin, begin + 20)]

    async with asyncio.timeout(5):
        answers = await asyncio.gather(*(one_after_the_other(begin) for begin in range(8)))
    assert answers == [[2 * number for number in range(begin, begin + 20)] for begin in range(8)]


async def test_requests_that_come_while_a_batch_runs_form_the_next() -> None:
    sizes, begun, gate = [], asyncio.Event(), asyncio.Event()

    async def work(numbers: Sequence[int]) -> Sequence[int]:
        sizes.append(len(numbers))
        begun.set()
        await gate.wait()
        return numbers

    batcher = Batcher(work, size=3)
    first = asyncio.create_task(batcher.submit(0))
    await begun.wait()
    others = [asyncio.create_task(batcher.submit(number)) for number in range(1, 6)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(first, *others) == [0, 1, 2, 3, 4, 5]
    assert sizes == [1, 3, 2]


async def test_a_batch_that_fails_tells_each_of_its_callers_and_the_next_one_goes_on() -> None:
    async def work(numbers: Sequence[int]) -> Sequence[int]:
        if 13 in numbers:
            raise RuntimeError("unlucky")
        return numbers

    batcher = Batcher(work, size=10)
    failed = await asyncio.gather(*(batcher.submit(n) for n in (12, 13)), return_exceptions=True)
    assert [str(error) for error in failed] == ["unlucky", "unlucky"]
    assert await batcher.submit(14) == 14
    assert isinstance((await asyncio.gather(Batcher(doubled, size=2).submit(-1), return_exceptions=True))[0], ValueError)  # fmt: skip


async def test_a_lone_request_waits_for_nobody() -> None:
    """It begins in the next turn of the loop: no timer is involved."""
    sizes: list[int] = []

    async def work(numbers: Sequence[int]) -> Sequence[int]:
        sizes.append(len(numbers))
        return numbers

    loop = asyncio.get_running_loop()
    timers: list[float] = []
    call_at, loop.call_at = loop.call_at, lambda when, *rest, **more: timers.append(when)  # type: ignore[method-assign]
    try:
        assert await Batcher(work, size=100).submit(7) == 7
    finally:
        loop.call_at = call_at  # type: ignore[method-assign]
    assert (sizes, timers) == ([1], [])


async def test_no_more_batches_run_at_once_than_allowed() -> None:
    running, most, gate = 0, 0, asyncio.Event()

    async def work(numbers: Sequence[int]) -> Sequence[int]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1
        return numbers

    batcher = Batcher(work, size=2, parallel=3)
    waiting = [asyncio.create_task(batcher.submit(number)) for number in range(20)]
    while running < 3:  # noqa: ASYNC110 - turns of the loop, not time
        await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*waiting) == list(range(20))
    assert most == 3


async def test_too_few_answers_are_an_error_for_every_caller_and_not_a_wait_without_end() -> None:
    async def work(numbers: Sequence[int]) -> Sequence[int]:
        return numbers[:-1]

    batcher = Batcher(work, size=10)
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*(batcher.submit(n) for n in range(3)), return_exceptions=True)
    assert {str(answer) for answer in answers} == {"2 answers to 3 requests"}


async def test_a_caller_who_went_away_does_not_disturb_the_others() -> None:
    gate = asyncio.Event()

    async def work(numbers: Sequence[int]) -> Sequence[int]:
        await gate.wait()
        return numbers

    batcher = Batcher(work, size=10)
    one, two = (asyncio.create_task(batcher.submit(n)) for n in (1, 2))
    await asyncio.sleep(0)
    one.cancel()
    gate.set()
    assert await two == 2
