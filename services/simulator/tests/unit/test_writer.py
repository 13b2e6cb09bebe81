"""Micro-batching: what shares a transaction, who gets which answer, what a bug costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from orderhub_simulator import errors
from orderhub_simulator.commands import Answer, Lookup, Operation
from orderhub_simulator.writer import Writer


class Recorded:
    """Stands where the transaction is: answers with the key, notes each batch, waits while the gate is closed."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = asyncio.Event()
        self.entered = asyncio.Event()
        self.gate.set()
        self.away = False

    async def __call__(self, operations: Sequence[Operation]) -> list[Answer]:
        self.entered.set()
        await self.gate.wait()
        if self.away:
            raise errors.Unavailable
        if any(operation.key == "bug" for operation in operations):
            raise ZeroDivisionError
        self.batches.append([operation.key for operation in operations])
        return [Answer(200, operation.key.encode()) for operation in operations]


def asked(*keys: str) -> list[Operation]:
    return [Lookup(key=key) for key in keys]


@pytest.fixture
async def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
async def writer(recorded: Recorded) -> AsyncIterator[Writer]:
    writer = Writer(recorded, batch=4, backlog=10)
    running = asyncio.create_task(writer.run())
    yield writer
    recorded.gate.set()
    writer.close()
    await running


async def test_what_arrives_during_a_transaction_shares_the_next_one(
    writer: Writer, recorded: Recorded
) -> None:
    recorded.gate.clear()
    first = asyncio.create_task(writer.submit(asked("a")))
    await recorded.entered.wait()
    async with asyncio.TaskGroup() as tasks:
        calls = [tasks.create_task(writer.submit(asked(*keys))) for keys in ("bc", "d", "ef", "ghijk")]
        await asyncio.sleep(0)
        recorded.gate.set()
    assert [[a.body for a in await call] for call in (first, *calls)] == [
        [b"a"],
        [b"b", b"c"],
        [b"d"],
        [b"e", b"f"],
        [b"g", b"h", b"i", b"j", b"k"],
    ]
    assert recorded.batches == [["a"], ["b", "c", "d"], ["e", "f"], ["g", "h", "i", "j", "k"]]


async def test_a_bug_costs_only_the_operation_that_has_it(writer: Writer) -> None:
    answers = await writer.submit(asked("a", "bug", "b"))
    assert [answer.http_status for answer in answers] == [200, 500, 200]
    assert (await writer.submit(asked("c")))[0].http_status == 200


async def test_without_a_database_everybody_hears_503_and_the_writer_lives_on(
    writer: Writer, recorded: Recorded
) -> None:
    recorded.away = True
    assert [answer.http_status for answer in await writer.submit(asked("a", "b"))] == [503, 503]
    recorded.away = False
    assert (await writer.submit(asked("a")))[0].http_status == 200


async def test_beyond_the_backlog_a_call_is_refused_at_once(writer: Writer, recorded: Recorded) -> None:
    recorded.gate.clear()
    first = asyncio.create_task(writer.submit(asked("a")))
    await recorded.entered.wait()
    full = asyncio.create_task(writer.submit(asked(*"0123456789")))
    await asyncio.sleep(0)
    with pytest.raises(errors.Unavailable):
        await writer.submit(asked("b"))
    recorded.gate.set()
    assert len(await full) == 10
    assert len(await first) == 1


async def test_a_caller_who_left_spoils_nothing_for_the_others(writer: Writer, recorded: Recorded) -> None:
    recorded.gate.clear()
    left = asyncio.create_task(writer.submit(asked("a")))
    await recorded.entered.wait()
    stays = asyncio.create_task(writer.submit(asked("b")))
    left.cancel()
    recorded.gate.set()
    assert (await stays)[0].body == b"b"


async def test_closing_answers_what_was_submitted_and_refuses_the_rest(recorded: Recorded) -> None:
    writer = Writer(recorded, batch=4, backlog=10)
    submitted = asyncio.create_task(writer.submit(asked("a")))
    await asyncio.sleep(0)
    writer.close()
    await writer.run()
    assert (await submitted)[0].body == b"a"
    with pytest.raises(errors.Unavailable):
        await writer.submit(asked("b"))
