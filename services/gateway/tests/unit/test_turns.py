"""So many at once, the others in order, and a bound on those."""

from __future__ import annotations

import asyncio

import pytest
from orderhub_gateway.errors import UpstreamBusy
from orderhub_gateway.turns import Turns


class Crowd:
    """What takes turns, and who is inside."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.order: list[int] = []
        self.most = self.inside = 0
        self.gate = asyncio.Event()

    async def come(self, number: int) -> None:
        async with self.turns:
            self.order.append(number)
            self.inside += 1
            self.most = max(self.most, self.inside)
            await self.gate.wait()
            self.inside -= 1


async def test_so_many_are_inside_and_the_others_follow_in_order() -> None:
    crowd = Crowd(Turns(2, 10))
    async with asyncio.TaskGroup() as group:
        for number in range(9):
            group.create_task(crowd.come(number))
        await asyncio.sleep(0)
        assert crowd.order == [0, 1]
        crowd.gate.set()
    assert (crowd.order, crowd.most) == (list(range(9)), 2)


async def test_who_finds_too_many_waiting_is_told_to_come_later() -> None:
    crowd = Crowd(Turns(1, 2))
    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(crowd.come(number))
        await asyncio.sleep(0)
        with pytest.raises(UpstreamBusy):
            await crowd.come(3)
        crowd.gate.set()
    await crowd.come(4)
    assert crowd.order == [0, 1, 2, 4]


async def test_who_gives_up_waiting_leaves_its_place_to_others() -> None:
    crowd = Crowd(Turns(1, 1))
    async with asyncio.TaskGroup() as group:
        group.create_task(crowd.come(0))
        waiting = group.create_task(crowd.come(1))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0)
        group.create_task(crowd.come(2))
        crowd.gate.set()
    assert crowd.order == [0, 2]
