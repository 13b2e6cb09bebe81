"""The write path's micro-batching: what arrives while one transaction is written shares the next one."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from orderhub_chassis import telemetry
from orderhub_chassis.db import Database, Transaction
from orderhub_chassis.errors import Unavailable

from orderhub_simulator import commands, errors, metrics, store
from orderhub_simulator.commands import Answer, Operation

Apply = Callable[[Sequence[Operation]], Awaitable[list[Answer]]]
Call = tuple[Sequence[Operation], asyncio.Future[list[Answer]]]

log = telemetry.log("simulator.writer")


class Transactions:
    """One batch, one transaction: load, decide in order of arrival, save."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._latest = database.clock.now()

    async def apply(self, operations: Sequence[Operation]) -> list[Answer]:
        """Raises errors.Unavailable when the database is away; then nothing is known about the operations."""

        async def work(tx: Transaction) -> list[Answer]:
            book = await store.load(tx, operations)
            now = self._now()
            answers = [commands.decide(o, book, now=now, new_id=self._database.new_id) for o in operations]
            await store.save(tx, book, now=now)
            return answers

        try:
            with metrics.WRITE_SECONDS.time():
                return await self._database.run(work)
        except Unavailable as away:
            raise errors.Unavailable from away

    def _now(self) -> datetime:
        """Never backwards, so that a reader of the listing by updated_at misses no later change."""
        self._latest = max(self._latest, self._database.clock.now())
        return self._latest


class Writer:
    """Callers wait in `submit`; one task writes batch after batch."""

    def __init__(self, apply: Apply, *, batch: int, backlog: int) -> None:
        self._apply = apply
        self._batch = batch
        self._backlog = backlog
        self._waiting: deque[Call] = deque()
        self._count = 0
        self._arrived = asyncio.Event()
        self._closing = False

    async def submit(self, operations: Sequence[Operation]) -> list[Answer]:
        """One answer per operation, in order; all of them are durable when this returns."""
        if self._closing or self._count + len(operations) > self._backlog:
            raise errors.Unavailable("too many operations wait; try again with the same key")
        if not operations:
            return []
        answered: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()
        self._waiting.append((operations, answered))
        self._count += len(operations)
        self._arrived.set()
        return await answered

    async def run(self) -> None:
        """Ends after `close`, when everything that was submitted has been answered."""
        while not self._closing or self._waiting:
            await self._arrived.wait()
            while self._waiting:
                await self._write(self._take())
            if not self._closing:
                self._arrived.clear()

    def close(self) -> None:
        self._closing = True
        self._arrived.set()

    def _take(self) -> list[Call]:
        """Whole calls in order of arrival, up to the batch size; a larger call goes alone."""
        taken = [self._waiting.popleft()]
        room = self._batch - len(taken[0][0])
        while self._waiting and len(self._waiting[0][0]) <= room:
            taken.append(self._waiting.popleft())
            room -= len(taken[-1][0])
        self._count -= sum(len(operations) for operations, _ in taken)
        metrics.WAITING.set(self._count)
        return taken

    async def _write(self, calls: list[Call]) -> None:
        operations = [operation for group, _ in calls for operation in group]
        answers = await self._answers(operations)
        _count(operations, answers)
        start = 0
        for group, answered in calls:
            if not answered.done():
                answered.set_result(answers[start : start + len(group)])
            start += len(group)

    async def _answers(self, operations: Sequence[Operation]) -> list[Answer]:
        """A batch that fails by a bug is tried one by one, so that only the culprit gets the 500."""
        try:
            return await self._apply(operations)
        except errors.Unavailable as away:
            log.warning("database away", cause=repr(away.__cause__))
            return [commands.refusal(away)] * len(operations)
        except Exception:  # one bug must not end the task that answers everybody
            if len(operations) == 1:
                log.exception("operation failed", op=commands.NAMES[type(operations[0])])
                return [commands.refusal(errors.InternalError())]
        return [answer for operation in operations for answer in await self._answers([operation])]


def _count(operations: Sequence[Operation], answers: Sequence[Answer]) -> None:
    metrics.WRITE_OPERATIONS.observe(len(operations))
    pairs = zip(operations, answers, strict=True)
    counted = Counter((commands.NAMES[type(operation)], answer.http_status) for operation, answer in pairs)
    for (op, http_status), count in counted.items():
        metrics.OPERATIONS.labels(op, http_status).inc(count)
    if replays := sum(answer.replayed for answer in answers):
        metrics.REPLAYS.inc(replays)
