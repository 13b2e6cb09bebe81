"""The real process: kill -9 between effect and answer, SIGTERM, and starts that must fail in one line."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from orderhub_simulator import writer
from orderhub_simulator.app import build
from orderhub_simulator.settings import Settings

API_KEY = "a-key-for-tests-only"
ClientOf = Callable[[str], Any]


@dataclass
class Running:
    process: asyncio.subprocess.Process
    url: str

    async def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        async with asyncio.timeout(20):
            return await self.process.wait()


def environment(database_url: str, **over: str) -> dict[str, str]:
    own = {f"ORDERHUB_SIMULATOR_{name}": value for name, value in over.items()}
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("ORDERHUB_")},
        "ORDERHUB_SIMULATOR_DATABASE_URL": database_url,
        "ORDERHUB_SIMULATOR_API_KEY": API_KEY,
        **own,
    }


async def spawn(variables: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "orderhub_simulator", env=variables, stderr=asyncio.subprocess.PIPE
    )


async def listening(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    async with asyncio.timeout(20):
        async for line in process.stderr:
            event = json.loads(line)
            if event["event"] == "listening":
                return event["url"]
    raise AssertionError("the simulator ended before it listened")


@asynccontextmanager
async def started(variables: dict[str, str]) -> AsyncIterator[Running]:
    process = await spawn(variables)
    try:
        yield Running(process, await listening(process))
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_after_kill_9_between_effect_and_answer_the_same_key_tells_the_one_effect(
    database_url: str, client_of: ClientOf, sql: asyncpg.Connection
) -> None:
    variables = environment(database_url, TIMEOUT_SECONDS="300")
    async with started(variables) as first, client_of(first.url) as client:
        waiting = asyncio.create_task(client.authorize("k1", token="tok_timeout"))
        async with asyncio.timeout(20):
            while not await sql.fetchval("SELECT count(*) FROM operations"):
                pass
        assert await first.end(signal.SIGKILL) == -signal.SIGKILL
        with pytest.raises(httpx.HTTPError):
            await waiting
    async with started(variables) as second, client_of(second.url) as client:
        told = (await client.get("/v1/operations/k1")).json()
        again = await client.authorize("k1", token="tok_timeout")
        assert (again.status_code, again.json()) == (200, told["body"])
    assert await sql.fetchval("SELECT count(*) FROM authorizations") == 1


async def test_kill_9_under_load_loses_nothing_that_was_answered(
    database_url: str, client_of: ClientOf, sql: asyncpg.Connection
) -> None:
    variables, answered, enough = environment(database_url), {}, asyncio.Event()

    async def keep_asking(client: Any, worker: int) -> None:
        for number in range(10_000):
            key = f"{worker}-{number}"
            try:
                answered[key] = (await client.authorize(key)).json()["id"]
                if len(answered) >= 200:
                    enough.set()
            except httpx.HTTPError:
                return

    async with started(variables) as first, client_of(first.url) as client:
        asking = [asyncio.create_task(keep_asking(client, worker)) for worker in range(8)]
        async with asyncio.timeout(20):
            await enough.wait()
        await first.end(signal.SIGKILL)
        await asyncio.gather(*asking)
    async with started(variables) as second, client_of(second.url) as client:
        for key, known in answered.items():
            assert (await client.authorize(key)).json()["id"] == known
    orphans = "SELECT count(*) FROM authorizations a WHERE NOT EXISTS (SELECT 1 FROM operations WHERE body::json->>'id' = a.id::text)"
    assert await sql.fetchval(orphans) == 0


async def test_sigterm_finishes_what_is_under_way_and_exits_0(
    database_url: str, client_of: ClientOf, sql: asyncpg.Connection
) -> None:
    async with (
        started(environment(database_url, TIMEOUT_SECONDS="0.5")) as running,
        client_of(running.url) as client,
    ):
        waiting = asyncio.create_task(client.authorize("k1", token="tok_timeout"))
        async with asyncio.timeout(20):
            while not await sql.fetchval("SELECT count(*) FROM operations"):
                pass
        assert await running.end(signal.SIGTERM) == 0
        assert (await waiting).status_code == 504


async def test_a_second_signal_ends_at_once(
    database_url: str, client_of: ClientOf, sql: asyncpg.Connection
) -> None:
    async with (
        started(environment(database_url, TIMEOUT_SECONDS="300")) as running,
        client_of(running.url) as client,
    ):
        waiting = asyncio.create_task(client.authorize("k1", token="tok_timeout"))
        async with asyncio.timeout(20):
            while not await sql.fetchval("SELECT count(*) FROM operations"):
                pass
        running.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            while not await refuses(running.url):
                pass
        assert await running.end(signal.SIGTERM) == 130
        with pytest.raises(httpx.HTTPError):
            await waiting


async def refuses(url: str) -> bool:
    host, port = url.removeprefix("http://").split(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except ConnectionError:
        return True
    writer.close()
    return False


async def complaint_of(variables: dict[str, str]) -> str:
    process = await spawn(variables)
    async with asyncio.timeout(20):
        _, said = await process.communicate()
    assert process.returncode == 1
    (line,) = said.decode().splitlines()
    return line


async def test_a_missing_secret_stops_the_start_with_one_line_that_names_it(database_url: str) -> None:
    variables = environment(database_url)
    del variables["ORDERHUB_SIMULATOR_API_KEY"]
    assert "ORDERHUB_SIMULATOR_API_KEY: is required" in await complaint_of(variables)


async def test_a_writer_that_dies_ends_the_service_with_its_reason(
    settings: Settings, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_count", lambda operations, answers: 1 / 0)
    brief = settings.model_copy(update={"shutdown_grace": timedelta(seconds=1)})
    with pytest.raises(ZeroDivisionError):
        async with build(brief) as service, client_of(service.url) as client:
            await client.authorize("k1")


async def test_a_used_port_stops_the_start_with_one_line_that_names_it(database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert port in await complaint_of(environment(database_url, PORT=port))


async def test_a_database_that_is_away_is_waited_for_and_named() -> None:
    process = await spawn(environment("postgresql://nobody:sesame@127.0.0.1:1/nothing"))
    async with asyncio.timeout(60):
        line = (await process.stderr.readline()).decode() if process.stderr else ""
    assert '"event": "start.waits"' in line
    assert "127.0.0.1:1/nothing: nobody listens there" in line
    assert "sesame" not in line
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    assert process.returncode == 0
