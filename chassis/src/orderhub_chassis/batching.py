"""Micro-batches: requests that arrive while one batch is being written form the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


class Batcher(Generic[Q, A]):
    """`work` gets up to `size` requests and returns an answer, or an exception instance, for each, in order.

    At most `parallel` batches run at once. A lone request waits for nobody.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Q]], Awaitable[Sequence[A | BaseException]]],
        *,
        size: int,
        parallel: int = 1,
    ) -> None:
        self._work = work
        self._size = size
        self._parallel = parallel
        self._waiting: list[tuple[Q, asyncio.Future[A]]] = []
        self._running = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, request: Q) -> A:
        future: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        if self._running < self._parallel:
            self._start()
        return await future

    def _start(self) -> None:
        self._running += 1
        task = asyncio.create_task(self._run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self) -> None:
        try:
            # Others that are ready in this turn of the loop may join the batch.
            await asyncio.sleep(0)
            await self._work_off()
        finally:
            # Here and not in the task's callback, which comes a turn later: a request of that turn would take this
            # runner for a running one, and wait for ever.
            self._running -= 1

    async def _work_off(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[: self._size], self._waiting[self._size :]
            try:
                answers = await self._work([request for request, _ in batch])
                if len(answers) != len(batch):
                    raise RuntimeError(f"{len(answers)} answers to {len(batch)} requests")
            except Exception as error:  # noqa: BLE001 - handed to every caller of the batch
                answers = [error] * len(batch)
            for (_, future), answer in zip(batch, answers, strict=True):
                _settle(future, answer)


def _settle(future: asyncio.Future[A], answer: A | BaseException) -> None:
    if future.done():
        return
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        future.set_result(answer)
