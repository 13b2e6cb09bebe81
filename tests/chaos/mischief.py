"""A bus that does everything that a bus may do, and more: late, twice, copied under new ids, in the reverse order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from orderhub_chassis import messages
from orderhub_chassis.messages import OutboxBatch
from orderhub_contracts.events.v1.records_pb2 import Record

Publish = Callable[[Any, Sequence[OutboxBatch]], Awaitable[None]]


class Mischief:
    """Put in the place of `PostgresBus.publish`. Nothing is ever lost: what is kept back comes later."""

    def __init__(self, publish: Publish, dice: random.Random) -> None:
        self._publish = publish
        self._dice = dice
        self._later: set[asyncio.Task[None]] = set()
        self._bus: Any = None
        self.seen: list[OutboxBatch] = []
        self.done: dict[str, int] = {"late": 0, "twice": 0, "copied": 0}

    async def publish(self, bus: Any, batches: Sequence[OutboxBatch]) -> None:
        self._bus = bus
        self.seen += batches
        at_once = []
        for batch in batches:
            if self._dice.random() < 0.25:
                self._count("late", batch)
            else:
                at_once.append(batch)
            if self._dice.random() < 0.5:
                self._count("twice", batch)
            if self._dice.random() < 0.5:
                self._count("copied", copied(batch))
        await self._publish(bus, at_once)

    def _count(self, what: str, batch: OutboxBatch) -> None:
        self.done[what] += 1
        task = asyncio.create_task(
            self._in_a_while(batch, self._dice.uniform(0.02, 0.6) * self._dice.choice([1, 1, 4]))
        )
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _in_a_while(self, batch: OutboxBatch, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._publish(self._bus, [batch])

    async def stop(self) -> None:
        """Of a test that failed: what is kept back is given up."""
        for task in self._later:
            task.cancel()
        await asyncio.gather(*self._later, return_exceptions=True)

    @property
    def rests(self) -> bool:
        """Nothing is kept back."""
        return not self._later

    async def everything_again(self) -> None:
        """All that was ever sent, under new ids, the last first."""
        for batch in list(reversed(self.seen)):
            await self._publish(self._bus, [copied(batch)])


def copied(batch: OutboxBatch) -> OutboxBatch:
    """The same messages in the reverse order, in a batch that no inbox knows."""
    records: list[Record] = [
        record
        for part in messages.unpack(batch.data).parts
        for record in messages.batch_from_bytes(part.batch).records
    ]
    fresh, unplaced = uuid4(), [(record.key, record.SerializeToString()) for record in records[::-1]]
    return OutboxBatch.of_row(
        fresh, batch.topic, messages.row_of(messages.pack(fresh, batch.topic, unplaced))
    )


class JumpingClock:
    """Goes like the machine's, and jumps ahead when it is told to: whatever waits for a time-out sees it end."""

    def __init__(self) -> None:
        self.offset = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def monotonic(self) -> float:
        return self.now().timestamp()

    def jump(self, seconds: float) -> None:
        self.offset += timedelta(seconds=seconds)
