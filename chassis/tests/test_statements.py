"""Writes that go together in one statement before the commit."""

from __future__ import annotations

import asyncpg
import pytest
from orderhub_chassis.statements import combined


@pytest.fixture
async def db(small_world):
    async with small_world.db() as db:
        yield db


def test_parameters_are_numbered_through():
    one = "insert into a values ($1, $2)"
    assert combined((one,), (2,)) == one
    text = combined((one, "update b set x = $2 where y = $1", "delete from c where z = $10"), (2, 2, 10))
    assert "values ($1, $2)" in text
    assert "set x = $4 where y = $3" in text
    assert text.endswith("delete from c where z = $14")


async def test_all_writes_happen_before_the_commit_and_with_the_messages(db, small_world):
    async def work(tx):
        for number in range(3):
            tx.write("insert into effects (key, number) values ($1, $2)", "w", number)
        assert await tx.fetchval("select count(*) from effects") == 0, "not yet"
        tx.send(small_world.command("a", 1))

    await db.run(work)
    assert sorted(await small_world.effects()) == [("w", 0), ("w", 1), ("w", 2)]
    assert len(await small_world.sent()) == 1


async def test_flush_brings_them_forward(db):
    async def work(tx):
        tx.write("insert into effects (key, number) values ('w', 1)")
        await tx.flush()
        return await tx.fetchval("select count(*) from effects")

    assert await db.run(work) == 1


async def test_a_rollback_takes_them_along(db, small_world):
    async def work(tx):
        tx.write("insert into effects (key, number) values ('w', 1)")
        raise LookupError

    with pytest.raises(LookupError):
        await db.run(work)
    assert await small_world.effects() == []


async def test_a_write_that_fails_fails_the_transaction(db, small_world):
    async def work(tx):
        tx.write("insert into effects (key, number) values ('w', 1)")
        tx.write("insert into effects (key, number) values (null, $1)", 1)
        tx.send(small_world.command("a", 1))

    with pytest.raises(asyncpg.NotNullViolationError):
        await db.run(work)
    assert (await small_world.effects(), await small_world.sent()) == ([], [])


async def test_a_dry_run_tries_them_too(db, small_world):
    async def work(tx):
        tx.write("insert into effects (key, number) values (null, 1)")

    with pytest.raises(asyncpg.NotNullViolationError):
        await db.dry_run(work)
