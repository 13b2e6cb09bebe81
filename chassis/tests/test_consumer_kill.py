"""A message that kills the process is given up too, and the innocent around it are applied."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from orderhub_chassis.consumer import KILLED, MAX_ATTEMPTS
from orderhub_chassis.messages import Outgoing
from orderhub_contracts.payments.v1.commands_pb2 import AuthorizePayment

SCRIPT = Path(__file__).with_name("dying_consumer.py")
KILL = 66


async def one_life(world, batch, expected):
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SCRIPT), world.database.url, world.bus_url.url, str(batch), str(expected),
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            _, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode in (0, KILL), errors.decode()
    return process.returncode


@pytest.mark.parametrize(
    ("batch", "before", "most_deaths"),
    [(400, 12, MAX_ATTEMPTS), (10, 30, MAX_ATTEMPTS + 3)],
    ids=["in the first batch", "in a later batch"],
)
async def test_a_message_that_kills_the_process_is_given_up(world, batch, before, most_deaths):
    numbers = [(f"order-{n % 9}", n) for n in range(before + 20)]
    killer = Outgoing(AuthorizePayment(order_id="victim", token="kill"), "victim")
    commands = [*numbers[:before], killer, *numbers[before:]]
    await world.publish(*(world.batch(*commands[i : i + 5]) for i in range(0, len(commands), 5)))

    deaths = 0
    while await one_life(world, batch, len(numbers)) == KILL:
        deaths += 1
        assert deaths <= most_deaths
    (dead,) = await world.dead_letters()
    assert (dead["key"], dead["reason"], dead["attempts"]) == ("victim", KILLED, MAX_ATTEMPTS)
    assert sorted(await world.effects()) == sorted(numbers)
    assert await world.database.value("select count(*) from message_attempts") == 0
