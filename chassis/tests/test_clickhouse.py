"""One suite for ClickHouse in our own process (chdb) and over HTTP. Over HTTP the server is a front over chdb: see there."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from orderhub import ports
from orderhub_chassis.clickhouse import ClickHouse, StatementFailed
from orderhub_chassis.errors import Unavailable
from orderhub_chassis.migrate import MigrationError

pytestmark = [pytest.mark.backends, pytest.mark.xdist_group("clickhouse")]

FRONT = Path(__file__).parent / "clickhouse_front.py"
USER, PASSWORD = "logs", "p@ss/w:rd#1?%"
TABLE = """
create table if not exists lines (
    id UInt64, at DateTime64(3, 'UTC'), text String, tags Map(String, String), score Nullable(Float64)
) engine = MergeTree order by (at, id) settings non_replicated_deduplication_window = 100
"""
COLUMNS = ("id", "at", "text", "tags", "score")
AT = datetime(2026, 2, 3, 4, 5, 6, 789_000, tzinfo=UTC)
FILES = {
    "0001_pre_lines.sql": TABLE,
    "0002_pre_level.sql": "alter table lines add column if not exists level LowCardinality(String) default 'info';\n",
}


def rows(*numbers):
    return [(n, AT, f"zeile {n} 'ä'", {"order": str(n)}, None if n % 2 else n / 4) for n in numbers]


class Front:
    """The HTTP server; `stop` and `start` keep its data."""

    def __init__(self, folder):
        self._folder = folder
        self._port = ports.free_port()
        self.url = f"http://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self._port}/default"

    def start(self):
        argv = [sys.executable, str(FRONT), str(self._folder), str(self._port), USER, PASSWORD]
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout.readline() == "ready\n"

    def stop(self):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def lose_answers(self):
        os.kill(self._process.pid, signal.SIGUSR1)


@pytest.fixture
def front(tmp_path):
    made = Front(tmp_path / "server")
    made.start()
    yield made
    made.stop()


@pytest.fixture(params=["chdb", "http"])
def url(request, tmp_path):
    if request.param == "http":
        return request.getfixturevalue("front").url
    return f"chdb://{tmp_path / 'own'}"


@pytest.fixture
async def clickhouse(url):
    async with ClickHouse.open(url) as opened:
        yield opened


@pytest.fixture
def package(tmp_path, monkeypatch):
    """`package(files)` writes a package's migrations and gives its name."""
    name = f"logs_{tmp_path.name}"

    def make(files):
        folder = tmp_path / name / "clickhouse"
        folder.mkdir(parents=True, exist_ok=True)
        (folder.parent / "__init__.py").write_text("")
        for file, sql in files.items():
            (folder / file).write_text(sql)
        return name

    monkeypatch.syspath_prepend(str(tmp_path))
    yield make
    sys.modules.pop(name, None)


async def count(clickhouse):
    [row] = await clickhouse.fetch("select count() as n from lines")
    return row["n"]


async def test_what_is_inserted_comes_back_as_it_was(clickhouse):
    await clickhouse.execute(TABLE)
    await clickhouse.insert("lines", COLUMNS, rows(1, 2), token="a")
    found = await clickhouse.fetch("select * from lines order by id")
    assert [tuple(row.values()) for row in found] == rows(1, 2)
    assert found[0]["at"].tzinfo is not None


async def test_a_batch_that_is_repeated_counts_once_and_another_with_the_same_rows_counts(clickhouse):
    await clickhouse.execute(TABLE)
    for _ in range(3):
        await clickhouse.insert("lines", COLUMNS, rows(1, 2), token="a")
    assert await count(clickhouse) == 2
    await clickhouse.insert("lines", COLUMNS, rows(1, 2), token="b")
    await clickhouse.insert("lines", COLUMNS, rows(1, 2), token="a")
    assert await count(clickhouse) == 4


async def test_without_a_window_the_table_remembers_nothing(clickhouse):
    """So the window belongs to every table that is inserted to by token."""
    await clickhouse.execute(TABLE.replace("= 100", "= 0"))
    for _ in range(2):
        await clickhouse.insert("lines", COLUMNS, rows(1), token="a")
    assert await count(clickhouse) == 2


async def test_beyond_the_window_a_batch_is_forgotten(clickhouse):
    await clickhouse.execute(TABLE.replace("= 100", "= 3"))
    for token in "abcde":
        await clickhouse.insert("lines", COLUMNS, rows(1), token=token)
    await clickhouse.insert("lines", COLUMNS, rows(1), token="a")
    assert await count(clickhouse) == 6


async def test_no_rows_are_no_statement(clickhouse):
    await clickhouse.insert("nowhere", COLUMNS, [], token="a")


async def test_parameters_are_values_and_never_a_part_of_the_statement(clickhouse):
    await clickhouse.execute(TABLE)
    await clickhouse.insert("lines", COLUMNS, rows(*range(10)), token="a")
    query = "select id from lines where text = {text:String} or id in {ids:Array(UInt64)} order by id"
    assert await clickhouse.fetch(query, text="zeile 3 'ä'", ids=[7]) == [{"id": 3}, {"id": 7}]
    assert await clickhouse.fetch(query, text="' or 1 = 1 --", ids=[]) == []


async def test_an_error_names_the_statement_and_the_client_goes_on(clickhouse):
    with pytest.raises(StatementFailed, match=r"^select nope: .*identifier `nope`") as failed:
        await clickhouse.fetch("select\n  nope")
    assert failed.value.code == 47
    with pytest.raises(StatementFailed, match=r"^insert into nowhere: ") as failed:
        await clickhouse.insert("nowhere", ("id",), [(1,)], token="a")
    assert failed.value.code == 60
    with pytest.raises(StatementFailed, match=r"^drop table nowhere: "):
        await clickhouse.execute("drop table nowhere")
    assert await clickhouse.fetch("select 1 as one") == [{"one": 1}]


async def test_a_value_that_does_not_fit_its_column_is_the_statements_fault(clickhouse):
    await clickhouse.execute(TABLE)
    with pytest.raises(StatementFailed, match=r"^insert into lines: .*no number"):
        await clickhouse.insert("lines", ("id", "at"), [("no number", AT)], token="a")
    assert await count(clickhouse) == 0


async def test_migrations_are_applied_in_order_and_once(clickhouse, package):
    name = package(FILES)
    assert await clickhouse.migrate(name) == sorted(FILES)
    assert await clickhouse.migrate(name) == []
    await clickhouse.insert("lines", COLUMNS, rows(1), token="a")
    assert await clickhouse.fetch("select level from lines") == [{"level": "info"}]
    package(
        {"0003_pre_more.sql": "create table if not exists more (id UInt64) engine = MergeTree order by id"}
    )
    assert await clickhouse.migrate(name) == ["0003_pre_more.sql"]


async def test_a_migration_that_was_changed_is_an_error_before_anything_is_applied(clickhouse, package):
    name = package(FILES)
    await clickhouse.migrate(name)
    package(
        {"0001_pre_lines.sql": TABLE + " ", "0003_pre_more.sql": "create table more (id UInt64) engine = Log"}
    )
    with pytest.raises(MigrationError, match=r"0001_pre_lines.sql was changed"):
        await clickhouse.migrate(name)
    assert await clickhouse.fetch("exists table more") == [{"result": 0}]


async def test_a_migration_that_fails_is_named_and_done_at_the_next_time(clickhouse, package):
    name = package({**FILES, "0002_pre_level.sql": "alter table lines add colum x"})
    with pytest.raises(StatementFailed, match=r"^alter table lines add colum x: "):
        await clickhouse.migrate(name)
    package(FILES)
    assert await clickhouse.migrate(name) == ["0002_pre_level.sql"]


async def test_the_loop_is_not_held_by_a_long_statement(clickhouse):
    turns, done = 0, asyncio.ensure_future(clickhouse.fetch("select sleep(1) as s"))
    while not done.done():
        turns += 1
        await asyncio.sleep(0.01)
    assert await done == [{"s": 0}]
    assert turns > 5


async def test_the_data_is_there_when_it_is_opened_again(url):
    async with ClickHouse.open(url) as clickhouse:
        await clickhouse.execute(TABLE)
        await clickhouse.insert("lines", COLUMNS, rows(1), token="a")
    async with ClickHouse.open(url) as clickhouse:
        await clickhouse.insert("lines", COLUMNS, rows(1), token="a")
        assert await count(clickhouse) == 1


# --- only of a server -------------------------------------------------------------------------------------------


async def test_a_server_that_is_gone_is_unavailable_and_used_again_when_it_is_back(front):
    async with ClickHouse.open(front.url) as clickhouse:
        await clickhouse.execute(TABLE)
        await clickhouse.insert("lines", COLUMNS, rows(1), token="a")
        front.stop()
        try:
            for ask in (count(clickhouse), clickhouse.insert("lines", COLUMNS, rows(2), token="b")):
                with pytest.raises(Unavailable, match="ClickHouse is away"):
                    await ask
        finally:
            front.start()
        await clickhouse.insert("lines", COLUMNS, rows(1), token="a")
        await clickhouse.insert("lines", COLUMNS, rows(2), token="b")
        assert await count(clickhouse) == 2


async def test_a_service_may_start_before_its_server(front):
    front.stop()
    async with ClickHouse.open(front.url) as clickhouse:
        with pytest.raises(Unavailable, match="ClickHouse is away"):
            await clickhouse.fetch("select 1 as one")
        front.start()
        assert await clickhouse.fetch("select 1 as one") == [{"one": 1}]


async def test_a_batch_whose_answer_was_lost_counts_once_when_it_is_repeated(front):
    async with ClickHouse.open(front.url) as clickhouse:
        await clickhouse.execute(TABLE)
        await clickhouse.insert("lines", COLUMNS, rows(1), token="a")
        front.lose_answers()
        with pytest.raises(Unavailable):
            await clickhouse.insert("lines", COLUMNS, rows(2), token="b")
        assert await count(clickhouse) == 2, "it was done"
        await clickhouse.insert("lines", COLUMNS, rows(2), token="b")
        assert await count(clickhouse) == 2


async def test_a_wrong_password_is_unavailable_and_not_in_the_words(front):
    async with ClickHouse.open(front.url.replace(f"{USER}:", f"{USER}:geheim")) as clickhouse:
        with pytest.raises(Unavailable, match=r"ClickHouse is away: .*516") as refused:
            await clickhouse.fetch("select 1")
    assert "geheim" not in str(refused.value)
