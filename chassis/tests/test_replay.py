"""Replay: a dead letter and what is parked behind it run again, in order, without the bus."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from orderhub_chassis.errors import NotFound
from orderhub_chassis.messages import Outgoing, Undecodable
from orderhub_contracts.events.v1.records_pb2 import Record
from orderhub_contracts.orders.v1.replies_pb2 import SagaReply
from orderhub_contracts.payments.v1.commands_pb2 import CapturePayment


class Mended:
    """A decision with a bug that can be mended; it answers each message that it applies."""

    def __init__(self):
        self.broken = {("a", 1)}
        self.gate = None

    def __call__(self, state, envelope):
        pair = (envelope.key, int(envelope.payload.token))
        if pair in self.broken:
            raise ArithmeticError(f"cannot do {pair}")
        state.applied.append(pair)
        return [Outgoing(SagaReply(order_id=envelope.key), envelope.key)]


@pytest.fixture
def decide():
    return Mended()


async def a_dead_letter(world, eventually, *behind):
    """(a, 1) is dead; what is behind it is parked."""
    await world.publish(world.batch(("a", 1), *behind))

    async def all_set_aside():
        found = await world.dead_letters()
        return found[0] if len(found) == 1 + len(behind) else None

    return await eventually(all_set_aside)


async def statuses(world):
    return [row["status"] for row in await world.dead_letters()]


async def test_replay_applies_the_dead_letter_and_then_what_is_parked_in_order(world, eventually, decide):
    async with world.running(world.spec(decide)) as living:
        dead = await a_dead_letter(world, eventually, ("a", 2), ("a", 3))
        decide.broken.clear()
        assert await living.runner.replay(dead["id"], dry_run=False) == (3, [])
        assert await world.effects() == [("a", 1), ("a", 2), ("a", 3)]
        assert await statuses(world) == ["done"] * 3
        assert [topic for topic, _ in await world.sent()][-3:] == ["orders.replies.v1"] * 3
        await world.publish(world.batch(("a", 4)))
        await eventually(world.applied(("a", 1), ("a", 2), ("a", 3), ("a", 4)))
    assert await statuses(world) == ["done"] * 3, "the key is free again"


async def test_a_dry_run_changes_nothing_and_says_what_would_be_sent(world, eventually, decide):
    async with world.running(world.spec(decide)) as living:
        dead = await a_dead_letter(world, eventually, ("a", 2))
        sent = await world.sent()
        decide.broken.clear()
        applied, would_send = await living.runner.replay(dead["id"], dry_run=True)
        assert (applied, would_send) == (2, ["orderhub.orders.v1.SagaReply a"] * 2)
        assert await world.effects() == []
        assert await world.sent() == sent
        assert await statuses(world) == ["dead", "parked"]
        assert await world.database.value("select count(*) from parked_keys") == 1


async def test_a_replay_that_fails_leaves_all_as_it_was(world, eventually, decide):
    async with world.running(world.spec(decide)) as living:
        dead = await a_dead_letter(world, eventually, ("a", 2), ("a", 3))
        sent = await world.sent()
        decide.broken = {("a", 3)}
        with pytest.raises(ArithmeticError, match="cannot do"):
            await living.runner.replay(dead["id"], dry_run=False)
        assert await world.effects() == []
        assert await world.sent() == sent
        assert await statuses(world) == ["dead", "parked", "parked"]


async def test_consumption_waits_for_a_replay_that_holds_the_key_and_then_finds_it_free(
    world, eventually, decide
):
    began, go_on = asyncio.Event(), asyncio.Event()
    spec = world.spec(decide)
    async with world.running(spec) as living:
        dead = await a_dead_letter(world, eventually)
        decide.broken.clear()
        replay = living.runner._effects.replay

        async def slow(tx, topic, key):
            outcome = await replay(tx, topic, key)
            began.set()
            await go_on.wait()
            return outcome

        living.runner._effects.replay = slow
        replaying = asyncio.create_task(living.runner.replay(dead["id"], dry_run=False))
        await began.wait()
        await world.publish(world.batch(("a", 2), ("b", 1)))
        await eventually(world.database.waiting_for_locks)
        assert await world.effects() == []
        go_on.set()
        await replaying
        await eventually(world.applied(("a", 1), ("a", 2), ("b", 1)))
    assert (await world.effects())[0] == ("a", 1)
    assert await statuses(world) == ["done"]


async def test_a_replay_waits_for_a_batch_that_is_just_parking_and_takes_it_along(world, eventually, decide):
    began, go_on = asyncio.Event(), asyncio.Event()
    async with world.running(world.spec(decide)) as living:
        dead = await a_dead_letter(world, eventually)
        apply = living.runner._effects.apply

        async def slow(tx, deliveries, counted):
            outcome = await apply(tx, deliveries, counted)
            began.set()
            await go_on.wait()
            return outcome

        living.runner._effects.apply = slow
        await world.publish(world.batch(("a", 2)))
        await began.wait()
        decide.broken.clear()
        replaying = asyncio.create_task(living.runner.replay(dead["id"], dry_run=False))
        await eventually(world.database.waiting_for_locks)
        go_on.set()
        assert await replaying == (2, [])
    assert await world.effects() == [("a", 1), ("a", 2)]


async def test_messages_that_the_consumer_does_not_handle_do_not_stop_a_replay(world, eventually, decide):
    async with world.running(world.spec(decide)) as living:
        dead = await a_dead_letter(world, eventually, Outgoing(CapturePayment(order_id="a"), "a"), ("a", 2))
        decide.broken.clear()
        assert await living.runner.replay(dead["id"], dry_run=False) == (3, [])
    assert await world.effects() == [("a", 1), ("a", 2)]


async def test_undecodable_bytes_stay_dead_until_the_code_knows_them(world, eventually, decide):
    await world.publish(world.batch(Record(key="a", type="orderhub.nobody.v1.Knows")))
    async with world.running(world.spec(decide)) as living:
        (dead,) = await eventually(world.dead_letters)
        with pytest.raises(Undecodable, match="unknown message type"):
            await living.runner.replay(dead["id"], dry_run=False)
    assert await statuses(world) == ["dead"]


async def test_replays_at_once_apply_once(world, eventually, decide):
    async with world.running(world.spec(decide)) as living:
        dead = await a_dead_letter(world, eventually, ("a", 2))
        decide.broken.clear()
        async with world.database.holding("select 1 from parked_keys for update"):
            replays = [asyncio.create_task(living.runner.replay(dead["id"], dry_run=False)) for _ in range(3)]
            await eventually(lambda: _three_wait(world))
        counts = [count for count, _ in await asyncio.gather(*replays)]
    assert sorted(counts) == [0, 0, 2]
    assert await world.effects() == [("a", 1), ("a", 2)]


async def _three_wait(world):
    return await world.database.waiting_for_locks() == 3


async def test_whoever_waits_for_the_state_is_told_after_a_replay_too(world, eventually, decide):
    told = []
    async with world.running(
        world.spec(decide, after_commit=lambda state: told.extend(state.applied))
    ) as living:
        dead = await a_dead_letter(world, eventually)
        decide.broken.clear()
        await living.runner.replay(dead["id"], dry_run=True)
        assert told == []
        await living.runner.replay(dead["id"], dry_run=False)
    assert told == [("a", 1)]


async def test_what_is_done_or_unknown_is_not_found(world, eventually, decide):
    async with world.running(world.spec(decide)) as living:
        dead = await a_dead_letter(world, eventually)
        decide.broken.clear()
        await living.runner.replay(dead["id"], dry_run=False)
        for id in (dead["id"], uuid4()):
            with pytest.raises(NotFound):
                await living.runner.replay(id, dry_run=False)
