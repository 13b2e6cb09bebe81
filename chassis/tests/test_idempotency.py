"""Idempotency keys: once, the same answer again, and a clear no to everything else."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from orderhub_chassis import idempotency
from orderhub_chassis.calls import Call, Caller
from orderhub_chassis.clock import ManualClock
from orderhub_chassis.errors import Conflict, Kind
from orderhub_chassis.idempotency import Key, KeyInFlight, KeyReused, Stored
from orderhub_contracts.common.v1.common_pb2 import Money


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
async def db(small_world, clock):
    async with small_world.db(clock) as db:
        yield db


def a_call(key="key-1", fingerprint=b"f", user="u1"):
    return Call(caller=Caller(user), idempotency_key=key, fingerprint=fingerprint)


class Effect:
    """Work that leaves a trace each time it runs."""

    def __init__(self):
        self.runs = 0

    async def __call__(self, tx):
        self.runs += 1
        await tx.execute("insert into effects (key, number) values ('e', $1)", self.runs)
        return Money(amount_minor=self.runs, currency="EUR")


async def once(db, call, effect, route="POST things"):
    answer, replayed = await idempotency.once(db, call, route, Money, effect)
    return answer.amount_minor, replayed


async def test_the_same_request_again_gets_the_first_answer_and_no_second_effect(db, small_world):
    effect = Effect()
    assert await once(db, a_call(), effect) == (1, False)
    assert await once(db, a_call(), effect) == (1, True)
    assert await once(db, a_call(), effect) == (1, True)
    assert effect.runs == len(await small_world.effects()) == 1


async def test_another_request_under_the_same_key_is_422(db):
    effect = Effect()
    await once(db, a_call(fingerprint=b"one"), effect)
    with pytest.raises(KeyReused) as refused:
        await once(db, a_call(fingerprint=b"two"), effect)
    assert (refused.value.kind, refused.value.code) == (Kind.UNPROCESSABLE, "idempotency.key_reused")
    assert effect.runs == 1


async def test_a_request_without_fingerprint_is_the_same_as_itself_and_no_other(db):
    effect = Effect()
    await once(db, a_call(fingerprint=b""), effect)
    assert await once(db, a_call(fingerprint=b""), effect) == (1, True)
    with pytest.raises(KeyReused):
        await once(db, a_call(fingerprint=b"f"), effect)


async def test_keys_are_scoped_by_principal_and_route(db):
    effect = Effect()
    await once(db, a_call(), effect)
    assert await once(db, a_call(user="u2"), effect) == (2, False)
    assert await once(db, a_call(), effect, route="POST others") == (3, False)


async def test_without_a_key_it_just_runs(db, small_world):
    effect = Effect()
    assert [await once(db, a_call(key=""), effect) for _ in range(2)] == [(1, False), (2, False)]
    assert await small_world.database.value("select count(*) from idempotency_keys") == 0


async def test_a_request_that_fails_leaves_its_key_free(db, small_world):
    effect = Effect()

    async def refused(tx):
        await effect(tx)
        raise Conflict("no")

    with pytest.raises(Conflict):
        await once(db, a_call(), refused)
    assert await small_world.effects() == []
    assert await once(db, a_call(), effect) == (2, False)


async def test_while_the_first_is_under_way_the_second_is_409_after_its_wait(db, monkeypatch):
    monkeypatch.setattr(idempotency, "LOCK_WAIT", "100ms")
    under_way, go_on = asyncio.Event(), asyncio.Event()
    effect = Effect()

    async def slow(tx):
        under_way.set()
        await go_on.wait()
        return await effect(tx)

    first = asyncio.create_task(once(db, a_call(), slow))
    await under_way.wait()
    with pytest.raises(KeyInFlight) as refused:
        await once(db, a_call(), effect)
    assert (refused.value.kind, refused.value.code) == (Kind.CONFLICT, "idempotency.in_flight")
    assert refused.value.retry_after == 1
    assert await once(db, a_call(key="key-2"), effect) == (1, False), "another key does not wait"
    go_on.set()
    assert await first == (2, False)
    assert await once(db, a_call(), effect) == (2, True)


async def test_a_second_that_waits_long_enough_gets_the_first_answer(db, small_world, eventually):
    under_way, go_on = asyncio.Event(), asyncio.Event()
    effect = Effect()

    async def slow(tx):
        under_way.set()
        await go_on.wait()
        return await effect(tx)

    first = asyncio.create_task(once(db, a_call(), slow))
    await under_way.wait()
    second = asyncio.create_task(once(db, a_call(), effect))
    await eventually(small_world.database.waiting_for_locks)
    go_on.set()
    assert (await first, await second) == ((1, False), (1, True))


async def test_twenty_at_once_have_one_effect(db, small_world):
    effect = Effect()
    answers = await asyncio.gather(*(once(db, a_call(), effect) for _ in range(20)))
    assert sorted(answers) == [(1, False)] + [(1, True)] * 19
    assert len(await small_world.effects()) == 1


async def test_a_key_is_kept_for_24_hours_and_then_it_is_new(db, clock, small_world):
    effect = Effect()
    await once(db, a_call(), effect)
    clock.advance(timedelta(hours=24))
    await idempotency.prune(db)
    assert await once(db, a_call(), effect) == (1, True)
    clock.advance(timedelta(seconds=1))
    assert await once(db, a_call(fingerprint=b"another"), effect) == (2, False)
    assert await once(db, a_call(fingerprint=b"another"), effect) == (2, True)
    clock.advance(timedelta(hours=24, seconds=1))
    await idempotency.prune(db)
    assert await small_world.database.value("select count(*) from idempotency_keys") == 0


async def test_a_batch_takes_its_keys_in_order_and_learns_which_have_answers(db, clock):
    one, two, three = (Key("u", "r", f"k{n}") for n in (1, 2, 3))

    async def first(tx):
        assert await idempotency.lock(tx, [three, one, one], now=clock.now()) == {}
        idempotency.store(
            tx, {one: Stored(b"f", b"answer-1"), three: Stored(b"f", b"answer-3")}, now=clock.now()
        )

    async def second(tx):
        return await idempotency.lock(tx, [two, three, one], now=clock.now())

    await db.run(first)
    assert await db.run(second) == {one: Stored(b"f", b"answer-1"), three: Stored(b"f", b"answer-3")}


async def test_batches_with_the_same_keys_in_another_order_do_not_deadlock(db, clock):
    keys = [Key("u", "r", f"k{n}") for n in range(30)]

    async def batch(keys):
        async def work(tx):
            known = await idempotency.lock(tx, keys, now=clock.now())
            idempotency.store(tx, {k: Stored(b"f", b"a") for k in keys if k not in known}, now=clock.now())
            return len(keys) - len(known)

        return await db.run(work)

    fresh = await asyncio.gather(batch(keys), batch(keys[::-1]), batch(keys[15:] + keys[:15]))
    assert sum(fresh) == 30


async def test_a_key_that_got_no_answer_is_free_and_leaves_no_row(db, clock, small_world):
    async def refused(tx):
        await idempotency.lock(tx, [Key("u", "r", "k")], now=clock.now())

    await db.run(refused)
    assert await small_world.database.value("select count(*) from idempotency_keys") == 0
    effect = Effect()
    call = Call(caller=Caller("u"), idempotency_key="k", fingerprint=b"f")
    assert await once(db, call, effect, route="r") == (1, False)


async def test_a_key_is_one_row_written_once(db, small_world):
    await once(db, a_call(), Effect())
    places = await small_world.database.value("select array_agg(ctid::text) from idempotency_keys")
    assert places == ["(0,1)"]


async def test_an_answer_made_past_the_lock_is_found_in_a_second_run(db, clock, small_world):
    """The primary key decides, whatever became of the lock."""
    effect = Effect()

    async def overtaken(tx):
        if not effect.runs:
            async with db.transaction() as other:
                answer = Money(amount_minor=7, currency="EUR").SerializeToString()
                known = {Key("u1", "POST things", "key-1"): Stored(b"f", answer)}
                idempotency.store(other, known, now=clock.now())
        return await effect(tx)

    assert await once(db, a_call(), overtaken) == (7, True)
    assert await small_world.effects() == []


async def test_keys_that_were_outlived_are_replaced_and_the_others_stay(db, clock):
    old, young = Key("u", "r", "old"), Key("u", "r", "young")

    async def keep(tx, key, response):
        known = await idempotency.lock(tx, [old, young], now=clock.now())
        idempotency.store(tx, {key: Stored(b"f", response)}, now=clock.now())
        return known

    await db.run(lambda tx: keep(tx, old, b"1"))
    clock.advance(timedelta(hours=24, seconds=1))
    assert await db.run(lambda tx: keep(tx, young, b"2")) == {}
    assert await db.run(lambda tx: keep(tx, old, b"3")) == {young: Stored(b"f", b"2")}
