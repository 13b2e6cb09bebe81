"""Replay: a dead letter and what is parked behind it run again, in order, without the bus."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import uuid4

import pytest
from orderhub_chassis.errors import Kind, NotFound, Unavailable
from orderhub_chassis.messages import Outgoing, Undecodable
from orderhub_chassis.replays import BURST, MAX_REPLAYS, ReplayedTooOften, ReplaysTooFast
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


async def test_a_replay_passes_over_what_the_consumer_ignores_as_a_batch_does(world, eventually, decide):
    """What is parked was not looked at: it may be undecodable, and nothing is to be done of it."""
    unreadable = Record(key="a", type="no.such.Message")
    spec = replace(
        world.spec(decide), ignores=lambda record: record.type == "no.such.Message" or record.actor == "x"
    )
    async with world.running(spec) as living:
        dead = await a_dead_letter(world, eventually, unreadable, world.command("a", 2, actor="x"), ("a", 3))
        decide.broken.clear()
        assert await living.runner.replay(dead["id"], dry_run=False) == (4, [])
    assert await world.effects() == [("a", 1), ("a", 3)]
    assert await statuses(world) == ["done"] * 4


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


async def replay_counts(world):
    return [row["replays"] for row in await world.dead_letters()]


async def in_vain(living, dead, times=MAX_REPLAYS, **how):
    for _ in range(times):
        with pytest.raises(ArithmeticError):
            await living.runner.replay(dead["id"], dry_run=False, **how)


async def test_what_was_replayed_in_vain_too_often_is_refused_unless_forced(world, eventually, decide):
    async with world.running(world.spec(decide)) as living:
        dead = await a_dead_letter(world, eventually)
        await in_vain(living, dead)
        with pytest.raises(ReplayedTooOften) as refused:
            await living.runner.replay(dead["id"], dry_run=False)
        assert (refused.value.kind, refused.value.code) == (
            Kind.CONFLICT,
            "dead_letters.replayed_too_often",
        )
        assert await replay_counts(world) == [MAX_REPLAYS], "a refusal is no replay"
        await in_vain(living, dead, times=1, force=True)
        assert await replay_counts(world) == [MAX_REPLAYS + 1]
        decide.broken.clear()
        assert await living.runner.replay(dead["id"], dry_run=False, force=True) == (1, [])
    assert await world.effects() == [("a", 1)]


async def test_the_count_is_that_of_the_key_whichever_of_its_messages_is_named(world, eventually, decide):
    async with world.running(world.spec(decide)) as living:
        dead = await a_dead_letter(world, eventually, ("a", 2))
        decide.broken = {("a", 2)}
        await in_vain(living, dead)
        _, behind = await world.dead_letters()
        with pytest.raises(ReplayedTooOften):
            await living.runner.replay(behind["id"], dry_run=False)
    assert await replay_counts(world) == [MAX_REPLAYS, 0]


async def test_dry_runs_are_neither_counted_nor_refused_by_the_count(world, eventually, decide):
    async with world.running(world.spec(decide)) as living:
        dead = await a_dead_letter(world, eventually)
        await in_vain(living, dead)
        for _ in range(2):
            with pytest.raises(ArithmeticError):
                await living.runner.replay(dead["id"], dry_run=True)
        decide.broken.clear()
        assert (await living.runner.replay(dead["id"], dry_run=True))[0] == 1
    assert await replay_counts(world) == [MAX_REPLAYS]


async def test_a_replay_is_counted_before_it_runs_so_that_one_that_kills_the_process_is(
    world, eventually, decide
):
    """What is cancelled in the middle has written nothing but the count, as after a kill."""
    began = asyncio.Event()
    async with world.running(world.spec(decide)) as living:
        dead = await a_dead_letter(world, eventually)

        async def endless(tx, topic, key):
            began.set()
            await asyncio.Event().wait()

        living.runner._effects.replay = endless
        replaying = asyncio.create_task(living.runner.replay(dead["id"], dry_run=False))
        await began.wait()
        assert await replay_counts(world) == [1]
        replaying.cancel()
        await asyncio.gather(replaying, return_exceptions=True)
    assert await replay_counts(world) == [1]


async def test_an_outage_in_the_middle_of_a_replay_uses_none_of_them_up(world, eventually, decide):
    async with world.running(world.spec(decide)) as living:
        dead = await a_dead_letter(world, eventually)
        replay = living.runner._effects.replay

        async def without_database(tx, topic, key):
            await world.database.hang_up()
            return await replay(tx, topic, key)

        living.runner._effects.replay = without_database
        for _ in range(MAX_REPLAYS + 1):
            with pytest.raises(Unavailable):
                await living.runner.replay(dead["id"], dry_run=False)
        living.runner._effects.replay = replay
        assert await replay_counts(world) == [1]
        await in_vain(living, dead, times=1)
        assert await replay_counts(world) == [1], "it was the same one, begun again"
        await in_vain(living, dead, times=1)
        assert await replay_counts(world) == [2]


async def test_replays_follow_each_other_at_a_bounded_rate_over_all_replicas(world, eventually, decide):
    """Dry ones too: they load the database as much. Nothing is counted that may not begin."""
    hourly = 1 / 3600
    spec = world.spec(decide)
    async with (
        world.running(spec, member="one", replay_rate=hourly) as one,
        world.running(spec, member="two", replay_rate=hourly) as two,
    ):
        dead = await a_dead_letter(world, eventually)
        decide.broken.clear()
        for number in range(BURST):
            await (one, two)[number % 2].runner.replay(dead["id"], dry_run=True)
        for living in (one, two):
            for dry_run in (True, False):
                with pytest.raises(ReplaysTooFast) as refused:
                    await living.runner.replay(dead["id"], dry_run=dry_run)
                assert (refused.value.kind, refused.value.code) == (
                    Kind.RATE_LIMITED,
                    "dead_letters.replayed_too_fast",
                )
                assert 3500 < refused.value.retry_after <= 3600
        assert await replay_counts(world) == [0]
        await world.database.sql("update replay_pace set full_at = full_at - interval '1 hour'")
        assert await two.runner.replay(dead["id"], dry_run=False) == (1, [])


async def test_what_is_not_found_takes_nothing_from_the_rate(world, decide):
    async with world.running(world.spec(decide), replay_rate=1 / 3600) as living:
        for _ in range(BURST + 1):
            with pytest.raises(NotFound):
                await living.runner.replay(uuid4(), dry_run=False)
