"""What the driver takes for an array, and that it asks our plain types for it."""

from __future__ import annotations

from collections import deque
from uuid import uuid4

import asyncpg
import pytest
from orderhub_chassis import driver


@pytest.fixture
async def connection(make_database):
    connection = await driver.connect(await make_database("orderhub_chassis"), {"jit": "off"})
    yield connection
    await connection.close()


@pytest.mark.parametrize(
    ("type_name", "values"),
    [
        ("int", [1, None, -2]),
        ("text", ["", "a,b", None, "{ä}"]),
        ("uuid", [uuid4(), None]),
        ("bytea", [b"", b"\x00\xff", None]),
        ("boolean", [True, False, None]),
        ("int", []),
        ("int", [[1, 2], [3, 4]]),
    ],
)
async def test_arrays_arrive_as_they_were_sent(connection, type_name, values):
    assert await connection.fetchval(f"select $1::{type_name}[]", values) == values
    assert await connection.fetchval("select current_setting('jit')") == "off"


async def test_tuples_and_sets_are_arrays_too(connection):
    assert await connection.fetchval("select $1::int[]", (1, 2)) == [1, 2]
    assert sorted(await connection.fetchval("select $1::int[]", {3, 4})) == [3, 4]


@pytest.mark.parametrize("other", [deque([1]), {1: 2}.keys(), "1", b"1", 1])
async def test_nothing_else_is(connection, other):
    """A deque is iterable and sized: were it taken, the driver would have gone back to asking abstract base classes."""
    with pytest.raises(asyncpg.DataError, match="a sized iterable container expected"):
        await connection.fetchval("select $1::int[]", other)
