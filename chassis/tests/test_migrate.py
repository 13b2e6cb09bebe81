"""Migrations: in order, once, by one process, and never changed afterwards."""

from __future__ import annotations

import asyncio
import sys
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from orderhub_chassis import migrate
from orderhub_chassis.migrate import MigrationError


@pytest.fixture
async def connect(make_database):
    """Connections to a database with nothing in it but what the bus has."""
    url = await make_database()
    opened = []

    async def connect():
        opened.append(await asyncpg.connect(url))
        return opened[-1]

    yield connect
    for connection in opened:
        await connection.close()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """`package({name: sql})` writes the migrations of a package and gives its name."""

    def make(files, name="shop_of_the_test"):
        folder = tmp_path / name / "migrations"
        folder.mkdir(parents=True, exist_ok=True)
        (folder.parent / "__init__.py").write_text("")
        for file, sql in files.items():
            (folder / file).write_text(sql)
        return name

    monkeypatch.syspath_prepend(str(tmp_path))
    yield make
    for name in [name for name in sys.modules if name.endswith("_of_the_test")]:
        del sys.modules[name]


FILES = {
    "0002_pre_fill.sql": "insert into things values (1)",
    "0001_pre_things.sql": "create table things (id int)",
    "0003_post_drop.sql": "alter table things add column done boolean",
}


async def test_files_are_applied_in_order_and_once(connect, package):
    connection, name = await connect(), package(FILES)
    assert await migrate.pending(connection, name) == sorted(FILES)
    assert await migrate.migrate(connection, name) == sorted(FILES)
    assert await migrate.migrate(connection, name) == []
    assert await migrate.pending(connection, name) == []
    assert await connection.fetchval("select count(*) from things") == 1


async def test_post_migrations_wait_for_the_end_of_the_old_code(connect, package):
    connection, name = await connect(), package(FILES)
    assert await migrate.migrate(connection, name, phase="pre") == [
        "0001_pre_things.sql",
        "0002_pre_fill.sql",
    ]
    assert await migrate.pending(connection, name) == ["0003_post_drop.sql"]
    assert await migrate.migrate(connection, name, phase="post") == ["0003_post_drop.sql"]


NEXT = {"0004_pre_more.sql": "create table more (id int)", "0005_post_less.sql": "drop table more"}


async def test_code_starts_with_its_pre_files_and_does_not_mind_newer_ones(connect, package):
    connection, name = await connect(), package(FILES)
    await migrate.migrate(connection, name, phase="pre")
    assert await migrate.pending(connection, name, phase="pre") == []
    await connection.execute(
        "insert into schema_migrations (package, name, checksum) values ($1, '0009_pre_newer.sql', 'x')", name
    )
    assert await migrate.pending(connection, name, phase="pre") == []
    assert await migrate.migrate(connection, name) == ["0003_post_drop.sql"]


async def test_a_roll_out_does_not_begin_before_the_last_one_is_finished(connect, package):
    connection, name = await connect(), package(FILES)
    await migrate.migrate(connection, name, phase="pre")
    package(NEXT)
    with pytest.raises(MigrationError, match=r"0003_post_drop\.sql belongs to an earlier roll-out"):
        await migrate.migrate(connection, name, phase="pre")
    assert await connection.fetchval("select to_regclass('more')") is None
    with pytest.raises(MigrationError, match=r"0004_pre_more\.sql comes first: `orderhub migrate --pre`"):
        await migrate.migrate(connection, name, phase="post")
    assert await migrate.migrate(connection, name) == ["0003_post_drop.sql", *sorted(NEXT)]


async def test_in_a_new_database_an_old_post_file_goes_before_a_later_pre_file(connect, package):
    connection, name = await connect(), package({**FILES, **NEXT})
    assert await migrate.migrate(connection, name, phase="pre") == [*sorted(FILES), "0004_pre_more.sql"]
    assert await migrate.pending(connection, name) == ["0005_post_less.sql"]


async def test_a_file_that_was_changed_after_it_was_applied_is_an_error(connect, package):
    connection, name = await connect(), package(FILES)
    await migrate.migrate(connection, name)
    package(
        {
            "0002_pre_fill.sql": "insert into things values (2)",
            "0004_pre_more.sql": "create table more (id int)",
        }
    )
    with pytest.raises(MigrationError, match=r"0002_pre_fill\.sql was changed after it had been applied"):
        await migrate.migrate(connection, name)
    assert await connection.fetchval("select to_regclass('more')") is None


async def test_a_file_that_fails_leaves_nothing_of_itself_and_all_before_it(connect, package):
    connection = await connect()
    name = package(
        {**FILES, "0002_pre_fill.sql": "create table half (id int); insert into nowhere values (1)"}
    )
    with pytest.raises(asyncpg.UndefinedTableError):
        await migrate.migrate(connection, name)
    assert await connection.fetchval("select to_regclass('half')") is None
    assert await migrate.pending(connection, name) == ["0002_pre_fill.sql", "0003_post_drop.sql"]
    package(FILES)
    assert await migrate.migrate(await connect(), name) == ["0002_pre_fill.sql", "0003_post_drop.sql"]


async def test_several_processes_at_once_apply_everything_once(connect, package):
    files = {f"{n:04}_pre_step.sql": f"create table step_{n} (id int)" for n in range(1, 12)}
    name, connections = package(files), [await connect() for _ in range(4)]
    applied = await asyncio.gather(*(migrate.migrate(connection, name) for connection in connections))
    assert sorted(one for names in applied for one in names) == sorted(files)
    rows = await connections[0].fetch("select name from schema_migrations order by applied_at, name")
    assert [row["name"] for row in rows] == sorted(files), "in their order, whoever applied them"


async def test_each_package_has_its_own_list(connect, package):
    connection = await connect()
    one = package({"0001_pre_a.sql": "create table a (id int)"}, "one_of_the_test")
    two = package({"0001_pre_a.sql": "create table b (id int)"}, "two_of_the_test")
    assert await migrate.migrate(connection, one, two) == ["0001_pre_a.sql", "0001_pre_a.sql"]


@pytest.mark.parametrize("file", ["1_pre_x.sql", "0001_x.sql", "0001_pre_X.sql", "0001_during_x.sql"])
async def test_a_file_with_another_name_is_an_error(connect, package, file):
    with pytest.raises(MigrationError, match="is not named"):
        await migrate.migrate(await connect(), package({file: ""}))


async def test_what_the_chassis_brings_can_be_applied_to_an_empty_database(make_database):
    url = await make_database()
    other = urlunsplit(urlsplit(url))
    connection = await asyncpg.connect(other)
    assert await migrate.migrate(connection, "orderhub_chassis", "orderhub_chassis.bus")
    await connection.close()
