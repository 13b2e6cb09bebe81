"""A roll-out under load: processes of the old and the new release on one database, `pre` before and `post` after."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import asyncpg
import pytest
from orderhub_chassis import migrate

SCRIPT = Path(__file__).with_name("noting.py")
OLD = {"0001_pre_notes.sql": "create table notes (id bigserial primary key, author text, text text)"}
NEW = {
    **OLD,
    "0002_pre_body.sql": """
        alter table notes add column body text;
        update notes set body = text;
        create function same() returns trigger language plpgsql as $$
        begin
            new.body := coalesce(new.body, new.text);
            new.text := coalesce(new.text, new.body);
            return new;
        end $$;
        create trigger same before insert on notes for each row execute function same();
    """,
    "0003_post_text.sql": "drop trigger same on notes; drop function same; alter table notes drop column text",
}


@pytest.fixture
async def start(make_database, tmp_path):
    """`await start("old")`: a process of that release, on the same database, that has begun or ended."""
    url, started = await make_database(), []

    async def start(release):
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(SCRIPT), release, url, "notes",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(tmp_path / release)},
        )  # fmt: skip
        started.append(process)
        await process.stdout.readline()
        return process

    start.url = url
    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@pytest.fixture
def releases(tmp_path, monkeypatch):
    """Both releases have a package `notes`, as two installations of one product."""
    for release, files in (("old", OLD), ("new", NEW)):
        folder = tmp_path / release / "notes" / "migrations"
        folder.mkdir(parents=True)
        (folder.parent / "__init__.py").touch()
        for name, sql in files.items():
            (folder / name).write_text(sql)

    def use(release):
        monkeypatch.syspath_prepend(str(tmp_path / release))
        sys.modules.pop("notes", None)

    yield use
    sys.modules.pop("notes", None)


async def stopped(process):
    """It has met no surprise until now."""
    assert process.returncode is None, (await process.communicate())[1].decode()
    process.send_signal(signal.SIGTERM)
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()


async def test_old_and_new_code_run_side_by_side_between_pre_and_post(start, releases, eventually):
    connection = await asyncpg.connect(start.url)

    async def progress(*releases_):
        counts = dict(await connection.fetch("select author, count(*) from notes group by author"))

        async def more():
            now = dict(await connection.fetch("select author, count(*) from notes group by author"))
            return all(now.get(release, 0) > counts.get(release, 0) + 20 for release in releases_)

        await eventually(more, within=30)

    releases("old")
    await migrate.migrate(connection, "notes")
    old = await start("old")
    await progress("old")
    releases("new")
    assert await migrate.migrate(connection, "notes", phase="pre") == ["0002_pre_body.sql"]
    new = await start("new")
    await progress("old", "new")
    returned = await start("old")
    await progress("old", "new")
    await stopped(old)
    await stopped(returned)
    assert await migrate.migrate(connection, "notes", phase="post") == ["0003_post_text.sql"]
    await progress("new")
    await stopped(await start("new"))
    await stopped(new)
    assert await connection.fetchval("select count(*) from notes where body is null") == 0
    await connection.close()


async def test_new_code_does_not_run_before_its_pre_files(start, releases):
    connection = await asyncpg.connect(start.url)
    releases("old")
    await migrate.migrate(connection, "notes")
    await connection.close()
    new = await start("new")
    _, errors = await new.communicate()
    assert new.returncode == 1
    assert "AssertionError: ['0002_pre_body.sql']" in errors.decode()
