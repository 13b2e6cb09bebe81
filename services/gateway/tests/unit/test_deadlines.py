"""One timer for everybody: it tells apart who is late, who is not, and who was cancelled by somebody else."""

from __future__ import annotations

import asyncio

import pytest
from orderhub_gateway import deadlines
from orderhub_gateway.deadlines import Deadline

SECONDS = 60.0


class Time:
    """Passes when it is told to; the timer of the deadlines is one of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, object]] = []

    def monotonic(self) -> float:
        return self.now

    def call_later(self, seconds: float, callback: object) -> None:
        self.timers.append((self.now + seconds, callback))

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        due = [callback for at, callback in self.timers if at <= self.now]
        self.timers = [(at, callback) for at, callback in self.timers if at > self.now]
        for callback in due:
            callback()


@pytest.fixture
async def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr(deadlines, "time", made)
    monkeypatch.setattr(asyncio.get_running_loop(), "call_later", made.call_later)
    return made


async def waiting(deadline: Deadline, event: asyncio.Event) -> str:
    try:
        with deadline:
            await event.wait()
    except TimeoutError:
        # Not a cancelled task any more: it can still wait for something, such as its answer being sent.
        await asyncio.sleep(0)
        return "late"
    return "in time"


async def begun(deadline: Deadline, event: asyncio.Event | None = None) -> asyncio.Task[str]:
    """A task that has come to wait."""
    task = asyncio.create_task(waiting(deadline, event or asyncio.Event()))
    await asyncio.sleep(0)
    return task


async def test_who_is_late_is_told_and_who_is_not_is_left_alone(time: Time) -> None:
    deadline, soon = Deadline(SECONDS), asyncio.Event()
    late = [await begun(deadline) for _ in range(3)]
    quick = await begun(deadline, soon)
    soon.set()
    assert await quick == "in time"
    time.pass_by(SECONDS)
    assert await asyncio.gather(*late) == ["late"] * 3
    assert [task.cancelling() for task in late] == [0, 0, 0]


async def test_the_next_ones_have_their_own_time(time: Time) -> None:
    deadline = Deadline(SECONDS)
    first = await begun(deadline)
    time.pass_by(SECONDS / 2)
    second = await begun(deadline)
    time.pass_by(SECONDS / 2)
    assert await first == "late"
    assert second.cancelling() == 0
    assert len(time.timers) == 1
    time.pass_by(SECONDS / 2)
    assert await second == "late"
    third = await begun(deadline)
    time.pass_by(SECONDS)
    assert await third == "late"


async def test_who_is_cancelled_by_somebody_else_is_cancelled(time: Time) -> None:
    task = await begun(Deadline(SECONDS))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_the_block_is_the_blocks(time: Time) -> None:
    with pytest.raises(ValueError, match="mine"), Deadline(SECONDS):
        raise ValueError("mine")
